"""One SQL layer for SQLite and PostgreSQL: transactions, retries, schema versions, and erasing for good."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ctxeng.errors import BadInput
from ctxeng.extras import needs

T = TypeVar("T")

PATIENCE = 30.0  # seconds to wait for others, and for a server that is away
_VERSIONS = "CREATE TABLE IF NOT EXISTS ctxeng_schema (name TEXT PRIMARY KEY, version INTEGER NOT NULL)"
_WAYS = "sqlite:./memory.db, sqlite::memory: or postgresql://user@host/database"


class Run(Protocol):
    """Runs statements inside one transaction. A `?` stands for a value, and for nothing else."""

    def __call__(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of the statement; none where it returns none."""
        ...

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """The statement for each of these rows of values."""
        ...


class Database(Protocol):
    """Tables that threads and processes share. Open one with `open_database`; `name` holds no password.

    Where `serial` stands behind a column's name, the column numbers the rows. `alone` is the statement that
    makes other processes wait while the schema changes; empty where writing alone does that.

    Statements that break a constraint raise Conflict, values that no column can hold BadInput, a database
    that others hold for too long StoreLocked, and one that does not answer StoreUnreachable.
    """

    serial: str
    alone: str

    @property
    def name(self) -> str:
        """The database in messages."""
        ...

    def transaction(self) -> AbstractContextManager[Run]:
        """A transaction that writes: kept whole when the block ends, not at all where it raises."""
        ...

    def reading(self) -> AbstractContextManager[Run]:
        """A transaction that reads the state of one moment."""
        ...

    def attempt(self, work: Callable[[Run], T], *, write: bool = True) -> T:
        """What `work` returns in a transaction, run again where the connection broke.

        `work` may run again although its first run was committed, when the answer to the commit was lost: it
        has to recognise its own rows.
        """
        ...

    def erase(self, tables: Sequence[str]) -> None:
        """Overwrite what was deleted from these tables, as far as the database can.

        SQLite: the bytes are in no file of the database any more. PostgreSQL: the rows are vacuumed away and
        no query finds them, but their bytes may stay in pages until these are used again, in the server's
        own write-ahead log until it is recycled, and in archives, replicas and backups.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections; a database is not used after that."""
        ...


def open_database(url: str, folder: Path | str = ".", patience: float = PATIENCE) -> Database:
    """The database of this URL: sqlite:./memory.db, sqlite::memory: or postgresql://user@host/database.

    A relative SQLite path is relative to `folder`; a folder that is not there is made.
    `patience` is how many seconds are waited for others that write, and for a server that is away. Raises
    BadInput for a URL or a file that is none, MissingExtra without psycopg, StoreUnreachable for no server.
    """
    scheme, colon, rest = url.partition(":")
    if colon and scheme == "sqlite":
        from ctxeng.storage.sql_sqlite import SqliteDatabase  # noqa: PLC0415 - only the database in use

        if not rest or rest.startswith("//"):
            raise BadInput(f"{url!r} is no database; write {_WAYS}")
        return SqliteDatabase(None if rest == ":memory:" else Path(folder, Path(rest).expanduser()), patience)
    if scheme in {"postgresql", "postgres"} and rest.startswith("//"):
        needs("psycopg")
        from ctxeng.storage.sql_postgres import PostgresDatabase  # noqa: PLC0415 - an optional dependency

        return PostgresDatabase(url, patience)
    # what follows the scheme may hold a password
    raise BadInput(f"{f'a database {scheme}:...' if colon else 'this'} is not known; write {_WAYS}")


def migrate(database: Database, name: str, steps: Sequence[Sequence[str]]) -> None:
    """Bring the tables called `name` to version `len(steps)`: each step's statements lead to the next one.

    `{serial}` in a statement is the database's own. Raises BadInput for tables of a newer version, and for
    tables of these names that somebody else made; nothing is changed then.
    """

    def work(run: Run) -> None:
        if database.alone:
            run(database.alone)
        run(_VERSIONS)
        rows = run("SELECT version FROM ctxeng_schema WHERE name = ?", (name,))
        version = rows[0][0] if rows else 0
        if version > len(steps):
            raise BadInput(
                f"{database.name}: {name} tables of version {version} are newer than this library knows "
                f"({len(steps)}); upgrade with: pip install -U ctxeng-framework"
            )
        if version == len(steps):
            return
        for step in steps[version:]:
            for statement in step:
                run(statement.replace("{serial}", database.serial))
        run(
            "INSERT INTO ctxeng_schema (name, version) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET version = excluded.version",
            (name, len(steps)),
        )

    database.attempt(work)
