"""Vectors remembered by content: in memory, and in an SQLite file that several processes share."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

T = TypeVar("T")
Vectors = Mapping[bytes, NDArray[np.float32]]

_TABLE = "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"
_BATCH = 500  # keys in one query: old builds of SQLite take 999 parameters
_PATIENCE = 10.0  # seconds to wait for another process that is writing


@dataclass
class VectorCache:
    """Keys to float32 vectors of one length. Losing it costs time, never a result.

    `path` None keeps vectors in memory alone; `limit` is how many stay there, the oldest go first.
    A corrupt file is deleted and begun anew; one that cannot be opened, or stays locked, is done without.
    """

    path: Path | None
    dim: int
    limit: int = 100_000
    _memory: dict[bytes, NDArray[np.float32]] = field(default_factory=dict, init=False, repr=False)
    _file: sqlite3.Connection | None = field(default=None, init=False, repr=False)
    _process: int = field(default=0, init=False, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)

    def get(self, keys: Iterable[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """The vectors of those keys that are known."""
        wanted = list(dict.fromkeys(keys))
        with self._lock:
            found = {key: self._memory[key] for key in wanted if key in self._memory}
            rest = [key for key in wanted if key not in found]
            stored = self._attempt(lambda file: _read(file, rest, self.dim)) if rest else None
            if stored:
                self._remember(stored)
                found.update(stored)
            return found

    def put(self, vectors: Vectors) -> None:
        """Remember these."""
        with self._lock:
            self._remember(vectors)
            self._attempt(lambda file: _write(file, vectors))

    def remove(self, keys: Iterable[bytes]) -> None:
        """Let these go for good: their bytes are in no file any more."""
        gone = list(dict.fromkeys(keys))
        with self._lock:
            for key in gone:
                self._memory.pop(key, None)
            self._attempt(lambda file: _delete(file, gone))

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        with self._lock:
            if self._file is not None and self._process == os.getpid():
                self._file.close()
            self._file = None

    def __del__(self) -> None:
        self.close()

    def _remember(self, vectors: Vectors) -> None:
        self._memory.update(vectors)
        excess = len(self._memory) - self.limit
        for key in list(islice(self._memory, max(0, excess))):
            del self._memory[key]

    def _attempt(self, use: Callable[[sqlite3.Connection], T]) -> T | None:
        """What `use` makes of the file; None where the file is of no use right now."""
        if self.path is None:
            return None
        for _ in range(2):
            try:
                return use(self._open(self.path))
            except sqlite3.OperationalError as error:
                logger.warning("embedding cache %s is not usable now: %s", self.path, error)
                self.close()
                return None
            except sqlite3.DatabaseError as error:
                logger.warning("embedding cache %s is corrupt and begun anew: %s", self.path, error)
                self.close()
                for suffix in ("", "-wal", "-shm"):
                    self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        return None

    def _open(self, path: Path) -> sqlite3.Connection:
        # a connection must not cross a fork: the child opens its own and leaves the parent's alone
        if self._file is None or self._process != os.getpid():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise sqlite3.OperationalError(str(error)) from error
            self._file = sqlite3.connect(
                path, timeout=_PATIENCE, check_same_thread=False, isolation_level=None
            )
            self._process = os.getpid()
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=NORMAL")
            self._file.execute("PRAGMA secure_delete=ON")  # what is forgotten is overwritten
            self._file.execute(_TABLE)
        return self._file


def _read(file: sqlite3.Connection, keys: list[bytes], dim: int) -> dict[bytes, NDArray[np.float32]]:
    found = {}
    for start in range(0, len(keys), _BATCH):
        some = keys[start : start + _BATCH]
        marks = ",".join("?" * len(some))
        rows = file.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", some)  # noqa: S608
        for key, blob in rows:
            if len(blob) == dim * 4:  # another length is not ours: encode anew
                found[key] = np.frombuffer(blob, dtype="<f4").astype(np.float32, copy=False)
    return found


def _write(file: sqlite3.Connection, vectors: Vectors) -> None:
    rows = [(key, vector.astype("<f4", copy=False).tobytes()) for key, vector in vectors.items()]
    file.execute("BEGIN IMMEDIATE")
    try:
        file.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
    except sqlite3.Error:
        file.execute("ROLLBACK")
        raise
    file.execute("COMMIT")


def _delete(file: sqlite3.Connection, keys: list[bytes]) -> None:
    file.executemany("DELETE FROM vectors WHERE key = ?", [(key,) for key in keys])
    file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
