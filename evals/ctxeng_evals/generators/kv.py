"""Key-value retrieval: one value looked up among pairs of random keys."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from ctxeng_evals.case import Case, Item
from ctxeng_evals.generators.family import Family, guess, items_of, tags, within
from ctxeng_evals.generators.words import hex_key

PAIR = re.compile(r'"([0-9a-f-]{36})": "([0-9a-f-]{36})"')
_KEY = re.compile(r"[0-9a-f-]{36}")


@dataclass(frozen=True)
class KeyValues(Family):
    """A value to look up among `pairs` pairs of UUID-like keys (Liu et al., Lost in the Middle).

    `position` (0 to 1) is where the pair stands, None: anywhere; the tag `position` says where, rounded to
    hundredths, so that scores can be plotted over it.
    """

    pairs: int = 100
    position: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        within("pairs", self.pairs, 1)
        if self.position is not None:
            within("position", self.position, 0, 1)

    @property
    def metric(self) -> str:
        """The one value."""
        return "exact"

    def case(self, index: int) -> Case:
        """Asks for the value of one key."""
        rng = self.draw(index)
        last = self.pairs - 1
        place = rng.randrange(self.pairs) if self.position is None else round(self.position * last)
        pairs = [(hex_key(rng), hex_key(rng)) for _ in range(self.pairs)]
        items = items_of([pair(*both) for both in pairs])
        key, value = pairs[place]
        return Case(
            id=self.name(index),
            question=f'Which value does the key "{key}" have?',
            target=value,
            items=items,
            gold=(items[place].id,),
            tags={**tags(items, 0, 0), "position": round(place / max(last, 1), 2)},
        )

    def read(self, case: Case, items: Sequence[Item]) -> JsonValue:
        """The value that stands beside the key of the question."""
        key = _KEY.findall(case.question)[0]
        return dict(pairs_in(items)).get(key) or guess(case)


def pair(key: str, value: str) -> str:
    """A pair as it stands in an item."""
    return f'"{key}": "{value}"'


def pairs_in(items: Sequence[Item]) -> list[tuple[str, str]]:
    """The pairs that the items hold."""
    return [(match[1], match[2]) for item in items if (match := PAIR.fullmatch(item.text))]
