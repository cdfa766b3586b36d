"""The forms of what ACE's reflector and curator reply."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ctxeng.turn import Value


class Vote(Value):
    """The reflector's opinion of one note that was used."""

    id: str
    tag: Literal["helpful", "harmful", "neutral"]


class Reflection(Value):
    """What a reflector says of one attempt."""

    error: str = ""
    cause: str = ""
    approach: str = ""
    insight: str = ""
    tags: tuple[Vote, ...] = ()

    @property
    def says_something(self) -> bool:
        """Whether a curator has anything to go by."""
        return bool(self.insight or self.approach or self.error)

    @property
    def advice(self) -> str:
        """What the next attempt, or the curator, reads of it."""
        named = (
            ("What went wrong", self.error),
            ("Why", self.cause),
            ("What to do", self.approach),
            ("Insight", self.insight),
        )
        return "\n".join(f"{name}: {text}" for name, text in named if text)


class AddNote(Value):
    """The curator wants a new entry."""

    op: Literal["add"]
    text: str
    when: str = ""
    section: str = "general"

    @property
    def about(self) -> tuple[str, ...]:
        """The entries it names."""
        return ()


class UpdateNote(Value):
    """The curator wants an entry to say something else."""

    op: Literal["update"]
    id: str
    text: str | None = None
    when: str | None = None

    @property
    def about(self) -> tuple[str, ...]:
        """The entries it names."""
        return (self.id,)


class MergeNotes(Value):
    """The curator wants several entries to become one."""

    op: Literal["merge"]
    ids: tuple[str, ...] = Field(min_length=2)
    text: str
    when: str = ""

    @property
    def about(self) -> tuple[str, ...]:
        """The entries it names."""
        return self.ids


class RemoveNote(Value):
    """The curator wants an entry gone."""

    op: Literal["remove"]
    id: str
    reason: str = ""

    @property
    def about(self) -> tuple[str, ...]:
        """The entries it names."""
        return (self.id,)


Operation = Annotated[AddNote | UpdateNote | MergeNotes | RemoveNote, Field(discriminator="op")]


class Curation(Value):
    """All that a curator wants changed."""

    operations: tuple[Operation, ...] = ()
