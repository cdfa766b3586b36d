"""What a memory keeps of a session: records that only grow, and edits that say what is shown of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ctxeng.message import Message, Value, WellFormed

_PREFIX = "m"


class Record(Value):
    """One message of a session. `number` counts from 1 within the session and is never used again.

    `key` says where the message came from (a turn's id and its place there, say): a session takes a key in
    once, so that a step that runs again changes nothing. `time` is ISO 8601, UTC. What was `recalled` says
    nothing new: it is shown where it stands and never found by a search.
    """

    number: int = Field(ge=1)
    message: Message
    key: str = ""
    time: str = ""
    recalled: bool = False

    @property
    def id(self) -> str:
        """The short id that models and people see: m1, m2 ..."""
        return record_id(self.number)


def record_id(number: int) -> str:
    """The short id of a record: m1, m2 ..."""
    return f"{_PREFIX}{number}"


def record_number(name: str) -> int | None:
    """The number of a short id; None where it is none."""
    digits = name.strip().strip("[]").removeprefix(_PREFIX)
    return int(digits) if digits.isdecimal() and digits.isascii() and len(digits) < 10 else None  # noqa: PLR2004


class _Edit(Value):
    """`made` is how many records the session had then; `time` is ISO 8601, UTC."""

    made: int = 0
    time: str = ""


class Summarised(_Edit):
    """Records up to number `upto` are out of the window but for those `kept`; `text` stands for them."""

    type: Literal["summarised"] = "summarised"
    upto: int
    text: WellFormed
    kept: tuple[int, ...] = ()


class Cleared(_Edit):
    """Results whose text is out of the window, while their calls stay; `inputs`: the calls' arguments too."""

    type: Literal["cleared"] = "cleared"
    numbers: tuple[int, ...]
    inputs: bool = False


class Shortened(_Edit):
    """A result too large for the window: `text`, which names the reference, stands for it."""

    type: Literal["shortened"] = "shortened"
    number: int
    text: WellFormed


class Pruned(_Edit):
    """Records that the agent took out, and what it put in their place."""

    type: Literal["pruned"] = "pruned"
    numbers: tuple[int, ...]
    text: WellFormed = ""


class Restored(_Edit):
    """Records that were cleared, shortened or pruned and are shown in full again."""

    type: Literal["restored"] = "restored"
    numbers: tuple[int, ...]


Edit = Annotated[Summarised | Cleared | Shortened | Pruned | Restored, Field(discriminator="type")]
