"""SQLite as one file that processes share, or in memory."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ctxeng.errors import BadInput, Conflict, CtxengError, StoreLocked, StoreUnreachable
from ctxeng.storage.sql import PATIENCE, Run

T = TypeVar("T")

_OLDEST = (3, 35, 0)  # knows RETURNING
_PAUSE = 0.01  # seconds between attempts to open
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_WRONG = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",  # readers do not wait for a writer
    "PRAGMA synchronous=NORMAL",  # a kill loses nothing, a power loss at most what came last
    "PRAGMA wal_autocheckpoint=4000",  # pages: 16 MB of log, since every checkpoint waits for the disk
    "PRAGMA secure_delete=ON",  # what is deleted is overwritten with zeros
)
_ABANDONED: list[sqlite3.Connection] = []  # of parents; closing them here would break the parents' locks


@dataclass(frozen=True)
class _SqliteRun:
    connection: sqlite3.Connection

    def __call__(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql, values).fetchall()

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self.connection.executemany(sql, rows)


@dataclass
class SqliteDatabase:
    """A file, readable by its owner only where it is new; in memory where `path` is None.

    One connection a process, one thread at a time; a forked child opens its own. A kill loses nothing that
    was committed; a power loss can lose the last commits, never part of one. Raises BadInput for a file that
    cannot be opened or is no database.
    """

    path: Path | None = None
    patience: float = PATIENCE
    serial: str = field(default="INTEGER PRIMARY KEY AUTOINCREMENT", init=False)
    alone: str = field(default="", init=False)
    _connection: sqlite3.Connection | None = field(default=None, init=False, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)
    _process: int = field(default_factory=os.getpid, init=False, repr=False)
    _closed: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        if sqlite3.sqlite_version_info < _OLDEST:
            raise BadInput(
                f"SQLite {sqlite3.sqlite_version} is too old: a Python with 3.35 or later is needed"
            )
        with self._held():
            pass

    @property
    def name(self) -> str:
        """The database in messages."""
        return "sqlite::memory:" if self.path is None else str(self.path)

    def transaction(self) -> AbstractContextManager[Run]:
        """A transaction that writes; others wait for it."""
        return self._begun("BEGIN IMMEDIATE")

    def reading(self) -> AbstractContextManager[Run]:
        """A transaction that reads the state of one moment, also while another process writes."""
        return self._begun("BEGIN")

    def attempt(self, work: Callable[[Run], T], *, write: bool = True) -> T:
        """What `work` returns in a transaction. It runs once: a commit's outcome is always known here."""
        with self.transaction() if write else self.reading() as run:
            return work(run)

    def erase(self, tables: Sequence[str]) -> None:  # noqa: ARG002 - the file is one for all tables
        """Write the file anew and empty its log. Raises StoreLocked where a reader holds the log too long.

        Takes time and free space on disk for a copy of what the file still holds.
        """
        if self.path is None:
            return
        with self._held() as connection:
            # zeros for what is deleted are not enough: where pages were split, copies of rows stay behind
            connection.execute("VACUUM")
            (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreLocked(f"{self.name}: another process has read the database for {self.patience:g} s")

    def close(self) -> None:
        """Let go of the file."""
        self._leave_parent()
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection, self._closed = None, True

    @contextmanager
    def _begun(self, begin: str) -> Iterator[Run]:
        with self._held() as connection:
            connection.execute(begin)
            try:
                yield _SqliteRun(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _held(self) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone; its errors as ours."""
        self._leave_parent()
        if not self._lock.acquire(timeout=self.patience):
            raise StoreLocked(f"{self.name}: another thread has held the database for {self.patience:g} s")
        try:
            yield self._opened()
        except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            raise self._named(error) from error
        finally:
            self._lock.release()

    def _opened(self) -> sqlite3.Connection:
        if self._closed:
            raise BadInput(f"{self.name}: this database was closed; open it again")
        if self._connection is None:
            connection = sqlite3.connect(
                _made(self.path) if self.path else ":memory:",
                timeout=self.patience,
                check_same_thread=False,
                isolation_level=None,
            )
            try:
                self._prepare(connection)
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        give_up = time.monotonic() + self.patience
        while True:
            try:
                for pragma in _PRAGMAS:
                    connection.execute(pragma)
            except sqlite3.OperationalError as error:
                # SQLite itself does not wait where several processes open a new file at once
                if error.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() > give_up:
                    raise
                time.sleep(_PAUSE)
            else:
                return

    def _leave_parent(self) -> None:
        """Begin anew in a forked child: locks and connections of the parent are the parent's."""
        if self._process == os.getpid():
            return
        if self.path is None:
            raise BadInput("sqlite::memory: belongs to the process that opened it; use a file in forked ones")
        if self._connection is not None:
            _ABANDONED.append(self._connection)
        self._connection, self._lock, self._process = None, threading.RLock(), os.getpid()

    def _named(self, error: Exception) -> CtxengError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        sentence = f"{self.name}: {error}"
        if isinstance(error, sqlite3.IntegrityError):
            return Conflict(sentence)
        if code in _BUSY:
            return StoreLocked(f"{self.name}: others have held the database for {self.patience:g} s")
        if code in _DAMAGED:
            return BadInput(f"{self.name} cannot be read as a database: {error}; restore or delete the file")
        if code in _WRONG or not isinstance(error, sqlite3.OperationalError):
            return BadInput(sentence)
        return StoreUnreachable(sentence)  # a full disk, say


def _made(path: Path) -> Path:
    """The path, with its folder and the file; what is new is for its owner only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except (OSError, ValueError) as error:
        raise BadInput(f"{str(path)!r} cannot be opened as a database: {error}") from error
    return path
