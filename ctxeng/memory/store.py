"""Sessions in SQLite or PostgreSQL: optimistic versions, walls between users, and forgetting for good."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ctxeng.errors import BadInput, Conflict
from ctxeng.memory.record import Edit, Record
from ctxeng.memory.store_remove import Removal, filtered
from ctxeng.memory.store_rows import (
    EDITS,
    FACTS,
    RECORDS,
    body,
    checked,
    digest,
    named,
    names,
    owner_digest,
    values,
)
from ctxeng.memory.store_schema import NAME, STEPS
from ctxeng.memory.store_write import OWNER, NotAt, Write
from ctxeng.memory.stored import Arrived, Fact, Forgotten, Held, SessionInfo
from ctxeng.storage.sql import Database, Run, migrate
from ctxeng.turn import Scope

_SESSION = 'SELECT id, version FROM memory_sessions WHERE tenant = ? AND "user" = ? AND session = ?'
_OWNER = "(SELECT id FROM memory_owners WHERE owner = ?)"


def now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class SqlStore:
    """A MemoryStore in a database that `open_database` opened. Safe with threads, processes and forks.

    A session's version is a number of its tenant and user that no other write ever gets, not even after the
    session was forgotten: what a process still holds of a forgotten session never matches a new one.

    A write whose commit was left unanswered is tried again and knows its own rows by a token. A write that
    an application repeats by itself, with the same version, is known by its rows where every record has a
    key; without keys it raises Conflict.

    `clock` is when a session counts as written, for `expire` and the order of `sessions`.
    """

    database: Database
    clock: Callable[[], datetime] = now

    def __post_init__(self) -> None:
        migrate(self.database, NAME, STEPS)

    def load(self, scope: Scope) -> Held:
        """The session of exactly this scope; an empty one where there is none."""
        whose = names(scope)

        def work(run: Run) -> tuple[list[str], list[str], int]:
            if not (known := run(_SESSION, whose)):
                return [], [], 0
            ((key, version),) = known
            records = run("SELECT body FROM memory_records WHERE session_id = ? ORDER BY tick", (key,))
            edits = run("SELECT body FROM memory_edits WHERE session_id = ? ORDER BY tick", (key,))
            return [row[0] for row in records], [row[0] for row in edits], version

        records, edits, version = self.database.attempt(work, write=False)
        return Held(tuple(values(RECORDS, records)), tuple(values(EDITS, edits)), version)

    def version(self, scope: Scope) -> int:
        """The session's version alone; 0 where there is none."""
        whose = names(scope)
        known = self.database.attempt(lambda run: run(_SESSION, whose), write=False)
        return int(known[0][1]) if known else 0

    def write(self, scope: Scope, records: Sequence[Record], edits: Sequence[Edit], version: int) -> int:
        """Append, all or nothing; the session's new version.

        Raises Conflict where the session is not at `version` or has one of the keys already, BadInput where
        the records' numbers do not go on from those it has.
        """
        writing = Write(
            names(scope),
            owner_digest(scope),
            version,
            tuple((record.number, named(record.key), body(record)) for record in records),
            tuple(body(edit) for edit in edits),
            [record.time for record in records if record.time],
            secrets.randbits(63),
            int(self.clock().timestamp() * 1_000_000),
        )
        try:
            return self.database.attempt(writing)
        except Conflict as error:
            if isinstance(error, NotAt):
                raise
            taken = f"session {scope.session!r} has one of these keys already; load it again"
            raise Conflict(taken) from error

    def sessions(self, scope: Scope) -> list[SessionInfo]:
        """The sessions that match this filter, the one written to last first."""
        where, wanted = filtered(checked(scope))
        query = (
            'SELECT tenant, "user", session, records, edits, first, last FROM memory_sessions'  # noqa: S608
            f" WHERE {where} ORDER BY written DESC, version DESC, id DESC"
        )
        rows = self.database.attempt(lambda run: run(query, wanted), write=False)
        return [SessionInfo(Scope(tenant=row[0], user=row[1], session=row[2]), *row[3:]) for row in rows]

    def arrived(self, scope: Scope, after: int = 0) -> list[Arrived]:
        """The records of all sessions of exactly this tenant and user with a row above `after`, in order."""
        query = (
            "SELECT r.tick, s.session, r.body FROM memory_sessions s JOIN memory_records r"
            ' ON r.session_id = s.id WHERE s.tenant = ? AND s."user" = ? AND s.version > ? AND r.tick > ?'
            " ORDER BY r.tick"
        )
        tenant, user, _ = names(scope)
        wanted = (tenant, user, after, after)
        rows = self.database.attempt(lambda run: run(query, wanted), write=False)
        records = values(RECORDS, [row[2] for row in rows])
        return [Arrived(row[0], row[1], record) for row, record in zip(rows, records, strict=True)]

    def generation(self, scope: Scope) -> int:
        """A number that grows whenever something of this tenant and user was removed."""
        query, wanted = "SELECT generation FROM memory_owners WHERE owner = ?", (owner_digest(scope),)
        rows = self.database.attempt(lambda run: run(query, wanted), write=False)
        return int(rows[0][0]) if rows else 0

    def note(self, scope: Scope, facts: Sequence[Fact]) -> None:
        """Keep these facts for the tenant and user of the scope; what is there already is not kept twice."""
        tenant, user, _ = names(scope)

        def work(run: Run) -> None:
            ((owner,),) = run(OWNER, (owner_digest(scope), 0))
            run.many(
                'INSERT INTO memory_facts (owner_id, tenant, "user", session, subject, digest, body)'
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (owner_id, digest) DO NOTHING",
                [
                    (
                        *(owner, tenant, user, named(fact.source.rpartition(":")[0]), named(fact.subject)),
                        *(digest(fact.subject, fact.value, fact.time, fact.source), body(fact)),
                    )
                    for fact in facts
                ],
            )

        if facts:
            self.database.attempt(work)

    def facts(self, scope: Scope, subject: str = "") -> list[Fact]:
        """The facts of exactly this tenant and user, of one subject where it is named, oldest first.

        Facts of one time, or of none, stand in the order they were noted; those without a time come first.
        """
        query, wanted = f"SELECT body FROM memory_facts WHERE owner_id = {_OWNER}", [owner_digest(scope)]  # noqa: S608
        if subject:
            query, wanted = f"{query} AND subject = ?", [*wanted, named(subject)]
        rows = self.database.attempt(lambda run: run(f"{query} ORDER BY id", wanted), write=False)
        return sorted(values(FACTS, [row[0] for row in rows]), key=lambda fact: fact.time)

    def forget(self, scope: Scope) -> Forgotten:
        """Remove everything that matches this filter, and overwrite it; empty fields match anything.

        Facts belong to the session that their source names. What stays is a number or two under a digest of
        tenant and user, so that rows and versions are not used again. SQLite: the bytes are in no file of
        the database when this returns. PostgreSQL: see Database.erase for what the server keeps.

        Raises BadInput for a filter with no field at all. Raises NotErased, which holds what was removed,
        where the bytes could not be overwritten yet: forget again.
        """
        if not any(scope.model_dump().values()):
            raise BadInput("to forget everything of everybody, delete the database; a filter needs a field")
        return Removal(*filtered(checked(scope))).made(self.database)

    def expire(self, before: str) -> Forgotten:
        """Remove sessions of which nothing was written since this time, and the facts they are source of.

        A time without a zone is UTC. Raises BadInput where it is no ISO 8601.
        """
        try:
            time = datetime.fromisoformat(before)
        except ValueError as error:
            raise BadInput(f"{before!r} is no time; write 2026-01-31 or 2026-01-31T12:00:00Z") from error
        time = time if time.tzinfo else time.replace(tzinfo=UTC)
        return Removal("written < ?", (int(time.timestamp() * 1_000_000),), old=True).made(self.database)

    def close(self) -> None:
        """Let go of files and connections."""
        self.database.close()
