"""The cases and texts behind a run's records, as far as its datasets can still be opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ctxeng.errors import BadInput, UnknownName
from ctxeng_evals.case import Case, Dataset
from ctxeng_evals.plan import Plan

_LONG = 100_000  # characters; what is longer is cut, with a word on how much


@dataclass
class Texts:
    """A plan's cases by dataset and id, opened when first asked for."""

    plan: Plan
    _places: dict[str, dict[str, int]] = field(default_factory=dict, init=False)
    _pools: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict, init=False)

    @cached_property
    def datasets(self) -> Mapping[str, Dataset]:
        """The datasets that can be opened."""
        found = {}
        for name in dict.fromkeys(column.dataset for column in self.plan.columns):
            try:
                found[name] = self.plan.dataset(name)
            except (BadInput, UnknownName, OSError, ValueError, KeyError):
                continue
        return found

    @property
    def missing(self) -> list[str]:
        """The datasets that cannot."""
        return [c for c in dict.fromkeys(c.dataset for c in self.plan.columns) if c not in self.datasets]

    def want(self, keys: Iterable[tuple[str, str]]) -> None:
        """Look these cases up; a dataset may make its cases one by one, so it is gone through once."""
        wanted: dict[str, set[str]] = {}
        for dataset, case in keys:
            wanted.setdefault(dataset, set()).add(case)
        for name, ids in wanted.items():
            if name not in self.datasets:
                continue
            places = self._places.setdefault(name, {})
            left = ids - places.keys()
            for place, each in enumerate(self.datasets[name].cases if left else ()):
                if each.id in left:
                    places[each.id] = place
                    left.discard(each.id)
                    if not left:
                        break

    def case(self, dataset: str, name: str) -> Case | None:
        """The case, if it was wanted and is there."""
        place = self._places.get(dataset, {}).get(name)
        return None if place is None else self.datasets[dataset].cases[place]

    def bodies(self, dataset: str, case: Case) -> Mapping[str, str]:
        """The case's own item texts by id, those of its pool behind them."""
        own = {item.id: item.body for item in case.items}
        if not case.pool:
            return own
        pool = self._pools.get((dataset, case.pool))
        if pool is None:
            items = self.datasets[dataset].pools.get(case.pool, ())
            pool = self._pools[dataset, case.pool] = {item.id: item.body for item in items}
        return {**pool, **own} if own else pool


@dataclass
class Shelf:
    """Texts that many rows share, each stored once; `size` is what they take in bytes."""

    texts: list[str] = field(default_factory=list)
    size: int = 0
    _places: dict[str, int] = field(default_factory=dict, init=False, repr=False)

    def place(self, text: str) -> int:
        """Where the text stands."""
        found = self._places.get(text)
        if found is None:
            found = self._places[text] = len(self.texts)
            self.texts.append(clipped(text))
            self.size += len(self.texts[-1].encode("utf-8", "replace")) + 3
        return found

    def cut(self, length: int, size: int) -> None:
        """Take the texts from `length` on away again; `size` is what the others take."""
        for text in [text for text, place in self._places.items() if place >= length]:
            del self._places[text]
        del self.texts[length:]
        self.size = size


def clipped(text: str, length: int = _LONG) -> str:
    """The text, cut where it is long beyond reading."""
    return text if len(text) <= length else f"{text[:length]} [... {len(text) - length:,} characters more]"
