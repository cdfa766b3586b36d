"""The seam that memory stores fill: sessions of records and edits, by scope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ctxeng.memory.record import Edit, Record
from ctxeng.turn import Scope, Value


@dataclass(frozen=True)
class Held:
    """A session as it is kept. `version` changes with all that is written to it; 0: nothing was yet."""

    records: tuple[Record, ...] = ()
    edits: tuple[Edit, ...] = ()
    version: int = 0


@dataclass(frozen=True)
class Arrived:
    """A record of any of a user's sessions; `row` grows with arrival and is never used again."""

    row: int
    session: str
    record: Record


@dataclass(frozen=True)
class SessionInfo:
    """A session in a listing; times are ISO 8601, UTC, empty where no record has one."""

    scope: Scope
    records: int
    edits: int
    first: str
    last: str


@dataclass(frozen=True)
class Forgotten:
    """What was removed: how many of each, and the texts, so that others can drop what they derived."""

    sessions: int = 0
    records: int = 0
    edits: int = 0
    facts: int = 0
    texts: tuple[str, ...] = ()


class Fact(Value):
    """What was said of a subject at a time. `source` is "session:m12", the record that says it."""

    subject: str
    value: str
    time: str = ""
    source: str = ""


class MemoryStore(Protocol):
    """Sessions by scope. Safe with several threads and processes; what returned is not lost by a kill.

    Tenant and user are walls: nothing of one is ever returned for another. Where a method takes a scope as a
    filter, empty fields match anything.
    """

    def load(self, scope: Scope) -> Held:
        """The session of exactly this scope; an empty one where there is none."""
        ...

    def version(self, scope: Scope) -> int:
        """The session's version alone."""
        ...

    def write(self, scope: Scope, records: Sequence[Record], edits: Sequence[Edit], version: int) -> int:
        """Append, all or nothing; the session's new version. Raises Conflict where it is not at `version`.

        Records' numbers go on without gaps, BadInput where they do not.
        """
        ...

    def sessions(self, scope: Scope) -> list[SessionInfo]:
        """The sessions that match this filter, the one written to last first."""
        ...

    def arrived(self, scope: Scope, after: int = 0) -> list[Arrived]:
        """The records of all sessions of exactly this tenant and user with a row above `after`, in order."""
        ...

    def generation(self, scope: Scope) -> int:
        """A number that changes whenever something of this tenant and user was removed."""
        ...

    def note(self, scope: Scope, facts: Sequence[Fact]) -> None:
        """Keep these facts for the tenant and user of the scope; what is there already is not kept twice."""
        ...

    def facts(self, scope: Scope, subject: str = "") -> list[Fact]:
        """The facts of exactly this tenant and user, of one subject where it is named, oldest first."""
        ...

    def forget(self, scope: Scope) -> Forgotten:
        """Remove everything that matches this filter, also from free pages and write-ahead logs.

        Raises BadInput for a filter with no field at all.
        """
        ...

    def expire(self, before: str) -> Forgotten:
        """Remove sessions of which nothing was written since this time (ISO 8601, UTC)."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
