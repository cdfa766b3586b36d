"""What left the window, found again: records of all of a user's sessions, by words and by meaning."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from ctxeng.memory.record import Record
from ctxeng.memory.stored import Arrived, MemoryStore
from ctxeng.retrieval.embed import TextEncoder
from ctxeng.retrieval.index import Index
from ctxeng.retrieval.texts import Record as Indexed
from ctxeng.retrieval.vectors import ExactVectors
from ctxeng.turn import Scope

_USERS = 64  # whose indexes are held; the longest unused goes first


@dataclass(frozen=True)
class Found:
    """A record that bears on a query. `ref` names it for good: "session:m12"."""

    session: str
    record: Record
    score: float

    @property
    def ref(self) -> str:
        """The session and the record's short id."""
        return f"{self.session}:{self.record.id}"


@dataclass
class Shelf:
    """One user's records, indexed. A text that is said again stands once, as what was said last."""

    encoder: TextEncoder | None
    index: Index = field(init=False)
    by_row: dict[str, Arrived] = field(default_factory=dict)
    generation: int = -1
    last: int = 0  # the row up to which everything is in
    _texts: dict[str, str] = field(default_factory=dict)  # text to the row that has it
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        vectors = ExactVectors(self.encoder.name, self.encoder.dim) if self.encoder else None
        self.index = Index(None, self.encoder, vectors)

    def follow(self, store: MemoryStore, scope: Scope) -> None:
        """Take in what arrived since; everything anew where something was forgotten."""
        with self.lock:
            generation = store.generation(scope)
            if generation != self.generation:
                self.index.remove(self.index.ids())
                self.by_row, self._texts, self.last, self.generation = {}, {}, 0, generation
            arrived = store.arrived(scope, self.last)
            if arrived:
                self._take(arrived)
                self.last = arrived[-1].row

    def _take(self, arrived: Sequence[Arrived]) -> None:
        said_again = []
        for each in arrived:
            text, row = each.record.message.text, str(each.row)
            if each.record.recalled or not text.strip():
                continue
            before = self._texts.pop(text, None)
            if before is not None:
                del self.by_row[before]
                said_again.append(before)
            self._texts[text] = row
            self.by_row[row] = each
        self.index.remove(said_again)
        fresh = [row for each in arrived if (row := str(each.row)) in self.by_row]
        self.index.add(Indexed(row, self.by_row[row].record.message.text) for row in fresh)


@dataclass(frozen=True)
class Recall:
    """Search over all that a tenant's user ever said and was told, whatever sessions show of it.

    A record's score is that of ctxeng's hybrid retrieval, divided by its price ** `per_cost`: long answers
    say what short ones say, for ten times the tokens. `depth` is how many each side of the search proposes.
    Without an encoder words alone count.
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
        price: Callable[[Record], int] | None = None,
        since: str = "",
        until: str = "",
        without: Collection[str] = (),
    ) -> list[Found]:
        """The best records of this tenant and user, best first; of one session, where the scope names one.

        With a `price`, scores are by price. `since` and `until` are ISO 8601 times, UTC, or their beginnings
        ("2026-03"); records without a time match neither. `without` are refs to leave out.
        """
        shelf = self.shelf(scope)
        plain = price is None and not (scope.session or since or until or without)
        with shelf.lock:
            best = shelf.index.search(query, count if plain else max(self.depth, count))
            arrived = [(shelf.by_row[row], score) for row, score in best]
        found = [
            Found(each.session, each.record, score)
            for each, score in arrived
            if plain or _within(each, scope, since, until)
        ]
        if without:
            found = [each for each in found if each.ref not in without]
        if price is not None:
            found = [self._by_price(each, price(each.record)) for each in found]
            found.sort(key=lambda each: -each.score)
        return found[:count]

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

    def _by_price(self, found: Found, price: int) -> Found:
        return Found(found.session, found.record, found.score / max(price, 1) ** self.per_cost)


def _within(arrived: Arrived, scope: Scope, since: str, until: str) -> bool:
    if scope.session and arrived.session != scope.session:
        return False
    time = arrived.record.time
    after = not since or (bool(time) and time >= since)
    return after and (not until or (bool(time) and time[: len(until)] <= until))
