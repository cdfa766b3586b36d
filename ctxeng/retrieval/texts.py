"""Texts by id in an SQLite file: the truth that indexes are built from."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ctxeng.errors import BadInput

T = TypeVar("T")

_VERSION = 1  # of the table; PRAGMA user_version
_TABLE = """CREATE TABLE IF NOT EXISTS texts (
  row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, text TEXT NOT NULL, payload TEXT NOT NULL
)"""
_BATCH = 500  # ids in one query: old builds of SQLite take 999 parameters


@dataclass(frozen=True)
class Record:
    """A text with its id, and whatever its owner wants to keep beside it. Raises BadInput for no text."""

    id: str
    text: str
    payload: str = ""

    def __post_init__(self) -> None:
        try:
            (self.id + self.text + self.payload).encode()
        except UnicodeEncodeError as error:
            raise BadInput(f"{self.id!r}: this is no valid Unicode and cannot be kept: {error}") from error


@dataclass(frozen=True)
class Change:
    """What writing did: the rows that are new, by their number, and the numbers that are no more."""

    new: dict[int, Record]
    gone: list[int]


@dataclass
class Texts:
    """Records in a file, or in memory where `path` is None.

    Each text has a row number; a text that changes gets a new one, and no number is used twice. So a number
    stands for one id with one text for ever, and what is derived from a text can be compared by numbers
    alone. Neither a kill nor a power loss loses what was written. Raises BadInput for a file that is none of
    ours. Not safe with several threads at once.
    """

    path: Path | None = None
    _file: sqlite3.Connection = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._file = sqlite3.connect(self.path or ":memory:", check_same_thread=False, isolation_level=None)
        try:
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=FULL")
            (version,) = self._file.execute("PRAGMA user_version").fetchone()
            self._file.execute(_TABLE)
            self._file.execute(f"PRAGMA user_version={max(version, _VERSION)}")
        except sqlite3.DatabaseError as error:
            self._file.close()
            raise BadInput(f"{self.path}: cannot be read as an index: {error}") from error
        if version > _VERSION:
            self._file.close()
            raise BadInput(f"{self.path}: index {version} is newer than this library knows ({_VERSION})")

    def __len__(self) -> int:
        count: int = self._file.execute("SELECT count(*) FROM texts").fetchone()[0]
        return count

    def rows(self) -> Iterator[tuple[int, str]]:
        """Every row number with its id, in order of arrival."""
        yield from self._file.execute("SELECT row, id FROM texts ORDER BY row")

    def read(self, rows: Sequence[int]) -> Iterator[tuple[int, str]]:
        """These rows' numbers and texts, in order of arrival."""
        for some in _batches(sorted(rows)):
            yield from self._ask("SELECT row, text FROM texts WHERE row IN (?) ORDER BY row", some)

    def get(self, ids: Iterable[str]) -> dict[str, Record]:
        """The records of those ids that are known."""
        found = {}
        for some in _batches(list(dict.fromkeys(ids))):
            for row in self._ask("SELECT id, text, payload FROM texts WHERE id IN (?)", some):
                found[row[0]] = Record(*row)
        return found

    def changed(self, records: Iterable[Record]) -> list[Record]:
        """Those whose text is not what is kept under their id; the last of equal ids counts."""
        latest = {record.id: record for record in records}
        known = self.get(latest)
        return [r for r in latest.values() if r.id not in known or known[r.id].text != r.text]

    def put(self, records: Iterable[Record]) -> Change:
        """Keep them all, or none. A record whose text is unchanged keeps its row."""
        latest = {record.id: record for record in records}
        new = {record.id: record for record in self.changed(latest.values())}
        with self._file:  # rolled back where it fails
            self._file.execute("BEGIN IMMEDIATE")
            gone = self._drop(new)
            self._file.executemany(
                "INSERT INTO texts (id, text, payload) VALUES (?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET payload = excluded.payload",
                [(record.id, record.text, record.payload) for record in latest.values()],
            )
            rows = self._numbers(new)
        return Change({rows[name]: record for name, record in new.items()}, gone)

    def remove(self, ids: Iterable[str]) -> Change:
        """Let these go; ids that are not there are no matter."""
        with self._file:
            self._file.execute("BEGIN IMMEDIATE")
            return Change({}, self._drop(ids))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _drop(self, ids: Iterable[str]) -> list[int]:
        gone = list(self._numbers(ids).values())
        self._file.executemany("DELETE FROM texts WHERE row = ?", [(row,) for row in gone])
        return gone

    def _numbers(self, ids: Iterable[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for some in _batches(list(dict.fromkeys(ids))):
            found.update(self._ask("SELECT id, row FROM texts WHERE id IN (?)", some))
        return found

    def _ask(self, query: str, values: list[Any]) -> sqlite3.Cursor:
        """The query with its one `?` made as many as there are values."""
        return self._file.execute(query.replace("?", ",".join("?" * len(values))), values)


def _batches(values: list[T]) -> Iterator[list[T]]:
    for start in range(0, len(values), _BATCH):
        yield values[start : start + _BATCH]
