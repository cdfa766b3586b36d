"""Values by namespace and key, kept in a database and searched: the storage behind LangGraph's store."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import JsonValue

from ctxeng.errors import BadInput, CtxengError
from ctxeng.memory.items_filter import fits
from ctxeng.memory.items_index import ItemIndex
from ctxeng.memory.items_rows import NAME, STEPS, TABLES, Namespace, body, bounds, labels, space, strings
from ctxeng.memory.store import now
from ctxeng.memory.store_remove import NotErased
from ctxeng.memory.store_rows import named
from ctxeng.memory.stored import Forgotten
from ctxeng.retrieval.embed import Embedder, TextEncoder
from ctxeng.storage.sql import Database, Run, migrate

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = 60_000_000  # microseconds
_FOREVER = 2**62  # microseconds; a column holds no more
_BATCH = 500  # rows that are read at once where a filter chooses; SQLite of old takes 999 values
_FIELDS = "id, space, body, created, updated, lasts"
_LIVE = "(expires IS NULL OR expires > ?)"
_BELOW = f"space >= ? AND space < ? AND {_LIVE}"
_PUT = (
    "INSERT INTO memory_items (space, key, body, texts, tick, created, updated, lasts, expires)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (space, key) DO UPDATE SET body = excluded.body,"
    " texts = excluded.texts, tick = excluded.tick, updated = excluded.updated, lasts = excluded.lasts,"
    " expires = excluded.expires"
)

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Item:
    """A value with its times (UTC); `score` is None where no query ranked it."""

    namespace: Namespace
    key: str
    value: dict[str, JsonValue]
    created: datetime
    updated: datetime
    score: float | None = None


@dataclass(frozen=True)
class Change:
    """A value to keep, a JSON object; None removes what is there.

    `searched` are the texts it is found by, None all its strings as one; without any, no query ranks it.
    `minutes` are how long it is kept after it was last written or read; None: for good.
    """

    namespace: Namespace
    key: str
    value: Mapping[str, Any] | None
    searched: tuple[str, ...] | None = None
    minutes: float | None = None


@dataclass(frozen=True)
class Items:
    """Values by (namespace, key), searched by words and, with an encoder, by meaning.

    The database is the truth; the index is made of it at the first query and then follows what changed, also
    by other processes. What has expired is never returned, and removed by the next write. Safe with threads
    and processes.
    """

    database: Database
    encoder: TextEncoder | None = None
    clock: Callable[[], datetime] = now
    _index: ItemIndex = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        migrate(self.database, NAME, STEPS)
        object.__setattr__(self, "_index", ItemIndex(self.encoder))

    def write(self, changes: Sequence[Change]) -> int:
        """Make these changes, all or none; of several to one key the last. How many items went.

        Raises BadInput for what is no JSON, no name or no time, before anything is changed.
        """
        time, puts, drops = self._time(), dict[tuple[str, str], Row](), set[tuple[str, str]]()
        for place, change in enumerate(changes, 1):
            at = space(change.namespace), named(change.key)
            puts.pop(at, None)
            drops.discard(at)
            if change.value is None:
                drops.add(at)
            else:
                puts[at] = (place, *_kept(change), time, time, *_lasting(change, time))

        def work(run: Run) -> int:
            before = run("UPDATE memory_item_ticks SET last = last + ? RETURNING last", (len(changes),))[0][0]
            gone = len(run("DELETE FROM memory_items WHERE expires <= ? RETURNING id", (time,)))
            for at in drops:
                gone += len(run("DELETE FROM memory_items WHERE space = ? AND key = ? RETURNING id", at))
            first = before - len(changes)
            run.many(_PUT, [(*at, *row[1:3], first + row[0], *row[3:]) for at, row in puts.items()])
            _count(run, gone)
            return gone

        return self.database.attempt(work)

    def put(
        self,
        namespace: Namespace,
        key: str,
        value: Mapping[str, Any],
        *,
        searched: tuple[str, ...] | None = None,
        minutes: float | None = None,
    ) -> None:
        """Keep the value in place of what was there; see `Change`."""
        self.write([Change(namespace, key, value, searched, minutes)])

    def delete(self, namespace: Namespace, key: str) -> None:
        """Let the value go; one that is not there is no matter."""
        self.write([Change(namespace, key, None)])

    def get(self, namespace: Namespace, key: str, *, refresh: bool = True) -> Item | None:
        """The value, if it is there and has not expired; `refresh`: its minutes begin anew."""
        query = f"SELECT {_FIELDS} FROM memory_items WHERE space = ? AND key = ? AND {_LIVE}"  # noqa: S608
        rows = self._read(query, (space(namespace), named(key), self._time()))
        self._refresh(rows if refresh else ())
        return _item(rows[0]) if rows else None

    def search(
        self,
        prefix: Namespace = (),
        query: str = "",
        where: Mapping[str, Any] | None = None,
        limit: int = 10,
        offset: int = 0,
        *,
        refresh: bool = True,
    ) -> list[Item]:
        """Values of a namespace and all below it that fit the filter, see `fits`; `offset` of them left out.

        Best first with a query, those without text last; else as they were put first. Raises BadInput for a
        limit or an offset below 0.
        """
        if limit < 0 or offset < 0:
            raise BadInput(f"limit {limit} and offset {offset} have to be 0 or more")
        scores: dict[int, float | None] = {}
        if query:
            self._index.follow(self.database)
            scores = dict(self._index.ranked(query, self._ids(prefix, where), offset + limit)[offset:])
            rows = self._at(list(scores))
        elif where:
            counted = zip(range(offset + limit), self._fitting(prefix, where), strict=False)
            rows = [row for _, row in counted][offset:]
        else:
            every = f"SELECT {_FIELDS} FROM memory_items WHERE {_BELOW} ORDER BY id LIMIT ? OFFSET ?"  # noqa: S608
            rows = self._read(every, (*bounds(prefix), self._time(), limit, offset))
        self._refresh(rows if refresh else ())
        return [replace(_item(row), score=scores.get(row[0])) for row in rows]

    def namespaces(self) -> list[Namespace]:
        """Every namespace that has a value, in order."""
        query = f"SELECT DISTINCT space FROM memory_items WHERE {_LIVE}"  # noqa: S608 - a condition of ours
        return sorted(labels(row[0]) for row in self._read(query, (self._time(),)))

    def forget(self, prefix: Namespace) -> int:
        """Remove every value below a namespace for good, vectors too; how many there were.

        See Database.erase for what a server keeps. Raises BadInput for no namespace, NotErased where the
        bytes could not be overwritten yet: forget it again.
        """
        if not prefix:
            raise BadInput("say which namespace is to be forgotten")
        gone: dict[int, list[str]] = {}

        def work(run: Run) -> None:
            run("UPDATE memory_item_ticks SET last = last + 1")  # other writers wait
            query = "DELETE FROM memory_items WHERE space >= ? AND space < ? RETURNING id, texts"
            rows = run(query, bounds(prefix))
            gone.update((row, json.loads(texts)) for row, texts in rows)
            _count(run, len(rows))

        self.database.attempt(work)
        texts = sorted({text for each in gone.values() for text in each})
        if isinstance(self.encoder, Embedder):
            self.encoder.forget(texts)
        self._index.follow(self.database)
        try:
            self.database.erase(TABLES)
        except CtxengError as error:
            raise NotErased(error, Forgotten(records=len(gone), texts=tuple(texts))) from error
        return len(gone)

    def expire(self) -> int:
        """Remove what has expired, as every write does; how many there were."""
        return self.write([])

    # -- reading ----------------------------------------------------------------------------------------

    def _ids(self, prefix: Namespace, where: Mapping[str, Any] | None) -> list[int]:
        if where:
            return [row[0] for row in self._fitting(prefix, where)]
        query = f"SELECT id FROM memory_items WHERE {_BELOW} ORDER BY id"  # noqa: S608 - a condition of ours
        return [row[0] for row in self._read(query, (*bounds(prefix), self._time()))]

    def _fitting(self, prefix: Namespace, where: Mapping[str, Any]) -> Iterator[Row]:
        query = f"SELECT {_FIELDS} FROM memory_items WHERE {_BELOW} AND id > ? ORDER BY id LIMIT ?"  # noqa: S608
        last, full = 0, True
        while full:
            rows = self._read(query, (*bounds(prefix), self._time(), last, _BATCH))
            yield from (row for row in rows if fits(json.loads(row[2])[1], where))
            full = len(rows) == _BATCH
            last = rows[-1][0] if rows else last

    def _at(self, ids: list[int]) -> list[Row]:
        found: dict[int, Row] = {}
        for start in range(0, len(ids), _BATCH):
            some = ids[start : start + _BATCH]
            marks = ", ".join("?" * len(some))
            query = f"SELECT {_FIELDS} FROM memory_items WHERE id IN ({marks})"  # noqa: S608 - marks alone
            found.update((row[0], row) for row in self._read(query, some))
        return [found[row] for row in ids if row in found]

    def _read(self, query: str, values: Sequence[Any]) -> list[Row]:
        return self.database.attempt(lambda run: run(query, values), write=False)

    def _refresh(self, rows: Sequence[Row]) -> None:
        mortal = [(self._time(), row[0]) for row in rows if row[5] is not None]
        if mortal:
            query = "UPDATE memory_items SET expires = ? + lasts WHERE id = ?"
            self.database.attempt(lambda run: run.many(query, mortal))

    def _time(self) -> int:
        return (self.clock() - _EPOCH) // timedelta(microseconds=1)


def _kept(change: Change) -> tuple[str, str]:
    """Body and searched texts, as columns."""
    if not change.namespace:
        raise BadInput(f"{change.key!r}: a namespace has at least one label")
    value = change.value or {}
    texts = ("\n".join(strings(value)),) if change.searched is None else change.searched
    return body(change.key, value), json.dumps([text for text in texts if text.strip()])


def _lasting(change: Change, time: int) -> tuple[int | None, int | None]:
    """Microseconds that it lasts, and when it expires."""
    if change.minutes is None:
        return None, None
    if not abs(change.minutes) * _MINUTE < _FOREVER - time or math.isnan(change.minutes):
        raise BadInput(f"{change.key!r}: {change.minutes} minutes are no time to live")
    lasts = round(change.minutes * _MINUTE)
    return lasts, time + lasts


def _count(run: Run, gone: int) -> None:
    if gone:
        run("UPDATE memory_item_ticks SET gone = gone + ?", (gone,))


def _item(row: Row) -> Item:
    key, value = json.loads(row[2])
    created, updated = (_EPOCH + timedelta(microseconds=each) for each in row[3:5])
    return Item(labels(row[1]), key, value, created, updated)
