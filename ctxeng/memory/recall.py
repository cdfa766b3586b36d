"""What left the window, found again: all of a user's sessions, by words and by meaning."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from ctxeng.memory.record import Record
from ctxeng.memory.shelf import Shelf
from ctxeng.memory.stored import MemoryStore
from ctxeng.retrieval.embed import TextEncoder
from ctxeng.turn import Scope

_TWICE = 2  # as many as wanted, since some may say the same
_USERS = 64  # whose indexes are held; the longest unused goes first


@dataclass(frozen=True)
class Found:
    """A passage that bears on a query: a record, or a few short ones that follow one another."""

    session: str
    records: tuple[Record, ...]
    score: float

    @property
    def refs(self) -> tuple[str, ...]:
        """The records' names for good: "session:m12"."""
        return tuple(f"{self.session}:{record.id}" for record in self.records)

    @property
    def ref(self) -> str:
        """The first record's."""
        return self.refs[0]

    @property
    def text(self) -> str:
        """What they say; of several, who says what."""
        if len(self.records) == 1:
            return self.records[0].message.text
        return "\n".join(f"{record.message.role}: {record.message.text}" for record in self.records)


@dataclass(frozen=True)
class Recall:
    """Search over all that a tenant's user ever said and was told, whatever sessions show of it.

    Scores are those of ctxeng's hybrid retrieval, divided by the price ** `per_cost` where there is one:
    long answers say what short ones say, for ten times the tokens. `depth` is how many each side of the
    search proposes. Without an encoder words alone count.
    """

    store: MemoryStore
    encoder: TextEncoder | None = None
    per_cost: float = 0.5
    depth: int = 200
    _shelves: OrderedDict[tuple[str, str], Shelf] = field(default_factory=OrderedDict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def search(
        self,
        query: str,
        scope: Scope,
        count: int = 10,
        *,
        price: Callable[[Found], int] | None = None,
        since: str = "",
        until: str = "",
        without: Collection[str] = (),
    ) -> list[Found]:
        """The best passages of this tenant and user, best first; of one session, where the scope names one.

        With a `price`, scores are by price. `since` and `until` are ISO 8601 times, UTC, or their beginnings
        ("2026-03"); records without a time match neither. `without` are refs to leave out. What was said
        twice in the same words stands once, where it was said last.
        """
        shelf = self.shelf(scope)
        plain = price is None and not (scope.session or since or until or without)
        with shelf.lock:
            best = shelf.index.search(query, _TWICE * count if plain else max(self.depth, count))
            passages = [(shelf.passages[key], score) for key, score in best]
            found = [Found(each.session, tuple(each.records), score) for each, score in passages]
        if scope.session:
            found = [each for each in found if each.session == scope.session]
        if since or until or without:
            found = [kept for each in found if (kept := _left(each, since, until, without)).records]
        if price is not None:
            found = [replace(each, score=each.score / max(price(each), 1) ** self.per_cost) for each in found]
            found.sort(key=lambda each: -each.score)
        return list(_once(found, count))

    def shelf(self, scope: Scope) -> Shelf:
        """The user's index, as far as the store has come."""
        key = (scope.tenant, scope.user)
        with self._lock:
            shelf = self._shelves.setdefault(key, Shelf(self.encoder))
            self._shelves.move_to_end(key)
            while len(self._shelves) > _USERS:
                self._shelves.popitem(last=False)
        shelf.follow(self.store, scope)
        return shelf


def _left(found: Found, since: str, until: str, without: Collection[str]) -> Found:
    """The passage without the records that are not wanted."""
    pairs = zip(found.records, found.refs, strict=True)
    kept = (r for r, ref in pairs if ref not in without and _within(r.time, since, until))
    return replace(found, records=tuple(kept))


def _within(time: str, since: str, until: str) -> bool:
    after = not since or (bool(time) and time >= since)
    return after and (not until or (bool(time) and time[: len(until)] <= until))


def _once(found: Sequence[Found], count: int) -> Iterator[Found]:
    """The first so many, without passages that say word for word what a better one says."""
    said: set[str] = set()
    for each in found:
        if each.text in said:
            continue
        said.add(each.text)
        yield each
        if len(said) >= count:
            return
