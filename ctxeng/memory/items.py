"""Values by namespace and key, kept in a database and searched: the storage behind LangGraph's store."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import JsonValue

from ctxeng.errors import BadInput
from ctxeng.retrieval.embed import TextEncoder
from ctxeng.retrieval.index import Index
from ctxeng.retrieval.texts import Record as Indexed
from ctxeng.retrieval.vectors import ExactVectors
from ctxeng.storage.sql import Database, Run, migrate

Namespace = tuple[str, ...]
_END = "\x1f"  # behind each label: a prefix of labels is a prefix of the text
_STEPS = (
    (
        """CREATE TABLE memory_items (
          id {serial}, namespace TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, searched TEXT NOT NULL,
          created TEXT NOT NULL, updated TEXT NOT NULL, expires TEXT NOT NULL, UNIQUE (namespace, key)
        )""",
        "CREATE TABLE memory_item_changes (tick {serial}, item BIGINT NOT NULL)",
    ),
)
_FIELDS = "id, namespace, key, body, created, updated"


@dataclass(frozen=True)
class Item:
    """A value with its times (ISO 8601, UTC); `score` is None where nothing was searched for."""

    namespace: Namespace
    key: str
    value: dict[str, JsonValue]
    created: str
    updated: str
    score: float | None = None


def now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Items:
    """Values by (namespace, key), searched by words and, with an encoder, by meaning.

    The database is the truth; the index is made of it once and then follows what changed, also by other
    processes. Safe with threads and processes.
    """

    database: Database
    encoder: TextEncoder | None = None
    clock: Callable[[], datetime] = now
    _index: Index = field(init=False, repr=False, compare=False)
    _last: list[int] = field(default_factory=lambda: [0], init=False, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        migrate(self.database, "items", _STEPS)
        vectors = ExactVectors(self.encoder.name, self.encoder.dim) if self.encoder else None
        object.__setattr__(self, "_index", Index(None, self.encoder, vectors))

    def put(
        self,
        namespace: Namespace,
        key: str,
        value: Mapping[str, Any],
        *,
        searched: str | None = None,
        minutes: float | None = None,
    ) -> None:
        """Keep the value in place of what was there. Raises BadInput for what is no JSON, or no name.

        `searched` is the text it is found by, None all its strings; it expires after so many `minutes`.
        """
        try:
            body = json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise BadInput(f"{key!r}: only JSON can be kept: {error}") from error
        text = "\n".join(strings(value)) if searched is None else searched
        time = self.clock()
        expires = "" if minutes is None else (time + timedelta(minutes=minutes)).isoformat()
        row = (
            _joined(namespace),
            _named(key),
            body,
            json.dumps(text),
            time.isoformat(),
            time.isoformat(),
            expires,
        )

        def work(run: Run) -> None:
            (item,) = run(
                "INSERT INTO memory_items (namespace, key, body, searched, created, updated, expires)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (namespace, key) DO UPDATE SET"
                " body = excluded.body, searched = excluded.searched, updated = excluded.updated,"
                " expires = excluded.expires RETURNING id",
                row,
            )
            run("INSERT INTO memory_item_changes (item) VALUES (?)", item)

        self.database.attempt(work)

    def get(self, namespace: Namespace, key: str) -> Item | None:
        """The value, if it is there and has not expired."""
        found = self._rows("namespace = ? AND key = ?", (_joined(namespace), _named(key)))
        return next((item for _, item in found), None)

    def delete(self, namespace: Namespace, key: str) -> None:
        """Let the value go; one that is not there is no matter."""
        self._drop("namespace = ? AND key = ?", (_joined(namespace), _named(key)))

    def search(
        self, prefix: Namespace, query: str = "", fits: Callable[[Item], bool] | None = None
    ) -> list[Item]:
        """The values below a namespace that fit, best first; without a query, as they were put first."""
        found = [(name, item) for name, item in self._below(prefix) if fits is None or fits(item)]
        if not query:
            return [item for _, item in found]
        scores = self._followed().scores(query, [str(name) for name, _ in found])
        scored = [
            Item(i.namespace, i.key, i.value, i.created, i.updated, float(score))
            for (_, i), score in zip(found, scores, strict=True)
        ]
        return sorted(scored, key=lambda item: -(item.score or 0))

    def namespaces(self) -> list[Namespace]:
        """Every namespace that has a value, in order."""
        query = (
            "SELECT DISTINCT namespace FROM memory_items WHERE expires = '' OR expires > ? ORDER BY namespace"
        )
        time = self.clock().isoformat()
        rows = self.database.attempt(lambda run: run(query, (time,)), write=False)
        return [_split(row[0]) for row in rows]

    def forget(self, prefix: Namespace) -> int:
        """Remove every value below a namespace for good; how many there were. BadInput for no namespace."""
        if not prefix:
            raise BadInput("say which namespace is to be forgotten")
        text = _joined(prefix)
        gone = self._drop("substr(namespace, 1, ?) = ?", (len(text), text))
        self.database.erase(("memory_items",))
        return gone

    def expire(self) -> int:
        """Remove what has expired; how many there were."""
        return self._drop("expires <> '' AND expires <= ?", (self.clock().isoformat(),))

    def _below(self, prefix: Namespace) -> list[tuple[int, Item]]:
        text = _joined(prefix)
        return self._rows("substr(namespace, 1, ?) = ?", (len(text), text))

    def _rows(self, where: str, wanted: Sequence[Any]) -> list[tuple[int, Item]]:
        there = f"({where}) AND (expires = '' OR expires > ?)"
        query = f"SELECT {_FIELDS} FROM memory_items WHERE {there} ORDER BY id"  # noqa: S608 - conditions of ours
        values = (*wanted, self.clock().isoformat())
        rows = self.database.attempt(lambda run: run(query, values), write=False)
        return [
            (row[0], Item(_split(row[1]), json.loads(row[2]), json.loads(row[3]), *row[4:])) for row in rows
        ]

    def _drop(self, where: str, wanted: Sequence[Any]) -> int:
        def work(run: Run) -> int:
            gone = run(f"DELETE FROM memory_items WHERE {where} RETURNING id", wanted)  # noqa: S608 - as above
            run.many("INSERT INTO memory_item_changes (item) VALUES (?)", gone)
            return len(gone)

        return self.database.attempt(work)

    def _followed(self) -> Index:
        """The index, as far as the database has come."""

        def work(run: Run) -> tuple[list[Any], list[Any]]:
            ticks = run("SELECT tick, item FROM memory_item_changes WHERE tick > ? ORDER BY tick", self._last)
            known = "SELECT item FROM memory_item_changes WHERE tick > ?"
            texts = f"SELECT id, searched FROM memory_items WHERE id IN ({known})"  # noqa: S608 - as above
            return ticks, run(texts, self._last) if ticks else []

        with self._lock:
            ticks, texts = self.database.attempt(work, write=False)
            if ticks:
                held = {str(name): json.loads(text) for name, text in texts}
                self._index.remove({str(item) for _, item in ticks} - set(held))
                self._index.add(Indexed(name, text) for name, text in held.items())
                self._last[0] = ticks[-1][0]
        return self._index


def strings(value: Any) -> list[str]:
    """All strings in a JSON value, in order."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [text for each in inner for text in strings(each)]


def _joined(namespace: Namespace) -> str:
    for label in namespace:
        if not isinstance(label, str) or not label or not label.isprintable():
            raise BadInput(f"{label!r} is no label of a namespace: it is printable text")
    return "".join(label + _END for label in namespace)


def _split(text: str) -> Namespace:
    return tuple(text.split(_END)[:-1])


def _named(key: str) -> str:
    """The key as it is kept: as JSON, since a database cannot hold every character."""
    return json.dumps(key)
