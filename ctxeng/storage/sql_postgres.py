"""PostgreSQL through psycopg 3: a small pool, and patience with a server that is away."""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import InitVar, dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ctxeng.errors import BadInput, Conflict, CtxengError, StoreLocked, StoreUnreachable
from ctxeng.storage.sql import PATIENCE, Run

logger = logging.getLogger(__name__)

T = TypeVar("T")
Connection = psycopg.Connection[tuple[Any, ...]]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0  # seconds between attempts
_SLOWEST_ANSWER = 10  # seconds for a connection to be made
# classes of SQLSTATE that pass by themselves: connection, resources, operator's intervention
_PASSING = ("08", "53", "57P")
_AGAIN = ("40001", "40P01")  # serialization failure, deadlock
_REFUSALS = ("starting up", "shutting down", "recovery", "too many", "remaining connection slots")
_DOUBT = "whether the last transaction was kept is not known"
_BEGIN_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_ABANDONED: list[Connection] = []  # of parents; closing them here would end the parents' sessions


class _Broken(CtxengError):
    """A transaction that did not end as it should, for a reason that passes; it may be run again.

    `doubt` says that it may have been kept: the answer to its commit was lost.
    """

    def __init__(self, sentence: str, *, doubt: bool) -> None:
        super().__init__(sentence)
        self.doubt = doubt


@dataclass(frozen=True)
class _PostgresRun:
    connection: Connection

    def __call__(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        cursor = self.connection.execute(_translated(sql), values)
        return cursor.fetchall() if cursor.description else []

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        with self.connection.cursor() as cursor:
            cursor.executemany(_translated(sql), rows)


@dataclass
class PostgresDatabase:
    """A database of a server, at most `size` connections a process; a forked child makes its own.

    A connection that broke is made again, with growing pauses, until `patience` seconds are over. The
    password of the URL stands in no message and no repr. Raises BadInput for a URL that the server refuses
    and for a database that is not in UTF-8, StoreUnreachable where no server answers.
    """

    url: InitVar[str]  # not kept: others print fields that no repr of ours shows
    patience: float = PATIENCE
    size: int = 8
    name: str = field(default="", init=False)
    serial: str = field(default="BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", init=False)
    alone: str = field(default="SELECT pg_advisory_xact_lock(5417213009)", init=False)
    _options: dict[str, Any] = field(default_factory=dict, init=False, repr=False)
    _idle: list[Connection] = field(default_factory=list, init=False, repr=False)
    _free: threading.Semaphore = field(init=False, repr=False)
    _process: int = field(default_factory=os.getpid, init=False, repr=False)
    _closed: bool = field(default=False, init=False, repr=False)

    def __post_init__(self, url: str) -> None:
        if self.size < 1:
            raise BadInput(f"size is {self.size}, it must be at least 1")
        self._free = threading.Semaphore(self.size)
        self.name, self._options = _read(url)
        encoding = self.attempt(lambda run: run("SHOW server_encoding"), write=False)[0][0]
        if encoding != "UTF8":
            self.close()
            raise BadInput(f"{self.name}: its encoding is {encoding}; create it with ENCODING 'UTF8'")

    def transaction(self) -> AbstractContextManager[Run]:
        """A transaction that writes. StoreUnreachable where the connection breaks inside it."""
        return self._plain(_BEGIN_WRITE)

    def reading(self) -> AbstractContextManager[Run]:
        """A transaction that reads the state of one moment."""
        return self._plain(_BEGIN_READ)

    def attempt(self, work: Callable[[Run], T], *, write: bool = True) -> T:
        """What `work` returns in a transaction, run again where the connection broke or others were first."""

        def once(give_up: float) -> T:
            with self._begun(_BEGIN_WRITE if write else _BEGIN_READ, give_up) as run:
                return work(run)

        return self._patiently(once)

    def erase(self, tables: Sequence[str]) -> None:
        """VACUUM these tables. See Database.erase for what the server keeps nonetheless."""

        def once(give_up: float) -> None:
            with self._connected(give_up) as connection:
                for table in tables:
                    connection.execute(f'VACUUM "{table}"'.encode())

        self._patiently(once)

    def close(self) -> None:
        """Close the connections that no thread is using; the others follow when they are given back."""
        self._leave_parent()
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _plain(self, begin: str) -> Iterator[Run]:
        try:
            with self._begun(begin, time.monotonic() + self.patience) as run:
                yield run
        except _Broken as error:
            raise _unreachable(error, doubt=error.doubt) from error

    def _patiently(self, once: Callable[[float], T]) -> T:
        give_up, pause, doubt = time.monotonic() + self.patience, _FIRST_PAUSE, False
        while True:
            try:
                return once(give_up)
            except _Broken as error:
                doubt = doubt or error.doubt
                if time.monotonic() + pause > give_up:
                    raise _unreachable(error, doubt=doubt) from error
                logger.warning("%s; trying again", error)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    @contextmanager
    def _begun(self, begin: str, give_up: float) -> Iterator[Run]:
        with self._connected(give_up) as connection:
            connection.execute(begin.encode())
            committing = False
            try:
                yield _PostgresRun(connection)
                committing = True
                connection.execute(b"COMMIT")
            except BaseException as error:
                if committing:
                    error.add_note(_DOUBT)
                with suppress(psycopg.Error):
                    connection.execute(b"ROLLBACK")
                raise

    @contextmanager
    def _connected(self, give_up: float) -> Iterator[Connection]:
        """A connection outside any transaction, for this thread alone; its errors as ours."""
        self._leave_parent()
        free = self._free
        if not free.acquire(timeout=max(0.0, give_up - time.monotonic())):
            raise StoreLocked(f"{self.name}: all {self.size} connections were in use for {self.patience:g} s")
        connection: Connection | None = None
        try:
            connection = self._living() or self._opened()
            yield connection
        except UnicodeEncodeError as error:
            raise BadInput(f"{self.name}: this is no valid Unicode and cannot be kept: {error}") from error
        except psycopg.Error as error:
            raise self._named(error, lost=connection is None or connection.broken) from None
        finally:
            if connection is not None:
                self._give_back(connection)
            free.release()

    def _living(self) -> Connection | None:
        """A connection of the pool that still answers."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            with suppress(psycopg.Error):
                connection.execute(b"")
                return connection
            connection.close()

    def _opened(self) -> Connection:
        if self._closed:
            raise BadInput(f"{self.name}: this database was closed; open it again")
        # no prepared statements: poolers that share connections between clients do not know them
        return psycopg.connect(autocommit=True, prepare_threshold=None, **self._options)

    def _give_back(self, connection: Connection) -> None:
        whole = connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        if whole and not self._closed:
            self._idle.append(connection)
        else:
            connection.close()

    def _leave_parent(self) -> None:
        """Begin anew in a forked child: locks and connections of the parent are the parent's."""
        if self._process != os.getpid():
            _ABANDONED.extend(self._idle)
            self._idle, self._free = [], threading.Semaphore(self.size)
            self._process = os.getpid()

    def _named(self, error: psycopg.Error, *, lost: bool) -> CtxengError:
        state = error.sqlstate or ""
        sentence = f"{self.name}: {_scrubbed(str(error).strip(), self._options)}"
        if isinstance(error, psycopg.IntegrityError):
            return Conflict(sentence)
        if lost and not state and "FATAL" in sentence and not any(word in sentence for word in _REFUSALS):
            return BadInput(sentence)  # no such role or database, a wrong password
        if lost or state.startswith(_PASSING) or state in _AGAIN:
            return _Broken(sentence, doubt=_DOUBT in getattr(error, "__notes__", ()))
        return BadInput(sentence)


@functools.cache
def _translated(sql: str) -> bytes:
    return sql.replace("%", "%%").replace("?", "%s").encode()


def _read(url: str) -> tuple[str, dict[str, Any]]:
    """The URL's name without its password, and the options of a connection."""
    try:
        parts = urlsplit(url)
        where = parts.netloc.rpartition("@")[2]
        user = unquote(parts.username or "")
        options = conninfo_to_dict(url)
        # of a password with a bare @, / or ?, a part would be taken for the host's name
        plain = url.count("@") == parts.netloc.count("@") <= 1
        plain = plain and ("," in where or parts.port != 0)  # asking for the port checks that it is one
    except (ValueError, psycopg.Error):
        plain = False
    if not plain:
        # the reason would quote the URL, and with it the password
        raise BadInput(
            "the postgresql:// URL cannot be read; write postgresql://user:password@host:5432/database, with "
            "%-escapes for the characters :/?#[]@% in the password"
        ) from None
    name = f"postgresql://{user}{'@' if user else ''}{where}{parts.path}"
    return name, {"connect_timeout": _SLOWEST_ANSWER, "application_name": "ctxeng", **options}


def _unreachable(error: _Broken, *, doubt: bool) -> StoreUnreachable:
    return StoreUnreachable(f"{error}; {_DOUBT}" if doubt else str(error))


def _scrubbed(text: str, options: dict[str, Any]) -> str:
    for option in ("password", "sslpassword"):
        if secret := options.get(option):
            text = text.replace(str(secret), "***")
    return text
