"""The six ways a playbook changes; values only, applied by book.py."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, TypeAdapter, model_validator

from ctxeng.playbook.entry import FIELDS, Clean, Entry, EntryId, Kind, OneLine, Provenance, Said, Status
from ctxeng.turn import Value

Counter = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
PERSON = "person:"  # how the name of somebody who is not a program starts


class Change(Value):
    """What every delta says: why, from which turns, against which version, and by whom."""

    reason: str = ""
    evidence: tuple[str, ...] = ()
    base: str = ""
    by: str = ""


class Add(Change):
    """A new entry behind `after` (None: at the end, "": first). Only an inverse sets `restore`."""

    op: Literal["add"] = "add"
    entry: Entry
    after: str | None = None
    votes: dict[Counter, Annotated[int, Field(ge=0)]] = Field(default={})
    provenance: Provenance = Provenance()
    restore: bool = False  # an id once used comes back in an inverse, and nowhere else

    @property
    def targets(self) -> tuple[str, ...]:
        """The ids it is about."""
        return (self.entry.id,)


class Update(Change):
    """New values for some fields of an entry; None leaves a field as it is."""

    op: Literal["update"] = "update"
    id: EntryId
    text: Said | None = None
    when: Clean | None = None
    section: OneLine | None = None
    kind: Kind | None = None
    audience: tuple[OneLine, ...] | None = None
    status: Status | None = None

    @property
    def targets(self) -> tuple[str, ...]:
        """The ids it is about."""
        return (self.id,)

    @property
    def fields(self) -> dict[str, object]:
        """The new values by name."""
        named = [(name, getattr(self, name)) for name in FIELDS]
        return {name: value for name, value in named if value is not None}


class Merge(Change):
    """Several entries become one of them: votes summed, lineage united, the others removed, by code."""

    op: Literal["merge"] = "merge"
    ids: tuple[EntryId, ...] = Field(min_length=2)
    into: EntryId
    text: Said | None = None
    when: Clean | None = None

    @model_validator(mode="after")
    def _into_one_of_them(self) -> Merge:
        if len(set(self.ids)) != len(self.ids):
            raise ValueError("ids must be distinct")
        if self.into not in self.ids:
            raise ValueError("into must be one of ids")
        return self

    @property
    def targets(self) -> tuple[str, ...]:
        """The ids it is about."""
        return self.ids

    @property
    def others(self) -> tuple[str, ...]:
        """The entries that go."""
        return tuple(each for each in self.ids if each != self.into)


class Remove(Change):
    """An entry goes; its id is never used again."""

    op: Literal["remove"] = "remove"
    id: EntryId

    @property
    def targets(self) -> tuple[str, ...]:
        """The ids it is about."""
        return (self.id,)


class Tag(Change):
    """Votes to add to an entry's counters (helpful, harmful, neutral ...); negative only in an inverse."""

    op: Literal["tag"] = "tag"
    id: EntryId
    votes: dict[Counter, int] = Field(min_length=1)

    @property
    def targets(self) -> tuple[str, ...]:
        """The ids it is about."""
        return (self.id,)


class Redact(Change):
    """Text taken out for good: of one entry, or a literal `pattern` wherever it stands. No inverse."""

    op: Literal["redact"] = "redact"
    id: EntryId | Literal[""] = ""
    pattern: str = ""

    @model_validator(mode="after")
    def _one_of_both(self) -> Redact:
        if bool(self.id) == bool(self.pattern):
            raise ValueError("give an id or a pattern, one of them")
        return self

    @property
    def targets(self) -> tuple[str, ...]:
        """The id it is about; none for a pattern."""
        return (self.id,) if self.id else ()


Delta = Annotated[Add | Update | Merge | Remove | Tag | Redact, Field(discriminator="op")]
DELTAS: TypeAdapter[tuple[Delta, ...]] = TypeAdapter(tuple[Delta, ...])


def targets(delta: Delta) -> tuple[str, ...]:
    """The ids a delta is about; none for a pattern."""
    return delta.targets


def by_person(delta: Delta, by: str = "") -> bool:
    """Whether a person proposed it, or `by`, who answers for it, is one."""
    return delta.by.startswith(PERSON) or by.startswith(PERSON)
