"""What is kept or left out as one: a message, or calls with all their results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from ctxeng.memory.record import Record, record_id
from ctxeng.message import Call, Message, Part, Result, Text

MISSING = "No result was recorded: the call was interrupted."


@dataclass(frozen=True)
class Shape:
    """How records are shown that are not shown whole.

    `texts` stand for results by number, `emptied` are calls' records without arguments, `gone` are not
    shown at all, `notes` stand before the record of that number. With `marked`, results begin with their id.
    """

    texts: Mapping[int, str] = field(default_factory=dict)
    emptied: AbstractSet[int] = frozenset()
    gone: AbstractSet[int] = frozenset()
    notes: Mapping[int, str] = field(default_factory=dict)
    marked: bool = False


@dataclass
class Unit:
    """A record that is no result, and the results of the calls it makes, by call id.

    One that is not `stored` is an application's own history: its records' numbers mean nothing.
    """

    head: Record
    results: dict[str, Record] = field(default_factory=dict)
    stored: bool = True
    _shown: list[tuple[Message, int]] | None = field(default=None, init=False, repr=False)

    @property
    def number(self) -> int:
        """The number of its first record."""
        return self.head.number

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of its records."""
        return (self.head.number, *(record.number for record in self.results.values()))

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls it makes."""
        return self.head.message.calls

    @property
    def unanswered(self) -> tuple[str, ...]:
        """The ids of calls that have no result."""
        return tuple(call.id for call in self.calls if call.id not in self.results)

    def shown(self, shape: Shape, price: Callable[[Message], int]) -> list[tuple[Message, int]]:
        """What a window shows of it, with prices; worked out once until something of it changes."""
        if self._shown is None:
            self._shown = [(message, price(message)) for message in self.messages(shape)]
        return self._shown

    def changed(self) -> None:
        """It is shown otherwise from now on."""
        self._shown = None

    def answer(self, call_id: str, record: Record) -> None:
        """The result of one of its calls."""
        self.results[call_id] = record
        self._shown = None

    def messages(self, shape: Shape) -> list[Message]:
        """What a window shows of it: every call with exactly one result behind it, in the calls' order."""
        notes = [_note(shape.notes[number]) for number in self.numbers if number in shape.notes]
        results = [record.number for record in self.results.values()]
        if self.number in shape.gone or (results and shape.gone >= set(results)):
            return notes
        head = self.head.message
        if self.number in shape.emptied:
            head = head.model_copy(update={"parts": tuple(map(_emptied, head.parts))})
        return [*notes, head, *(self._result(call, shape) for call in self.calls)]

    def _result(self, call: Call, shape: Shape) -> Message:
        record = self.results.get(call.id)
        if record is None:
            return Message(role="tool", parts=(Result(call_id=call.id, text=MISSING, is_error=True),))
        (part,) = record.message.parts
        assert isinstance(part, Result)
        text = shape.texts.get(record.number)
        if record.number in shape.gone:
            text = cleared_text(record.number)
        if text is None:
            text = f"[{record.id}] {part.text}" if shape.marked else None
        # the call's own id: two calls of one id in a message were told apart when they were taken in
        if text is None and part.call_id == call.id:
            return record.message
        result = part.model_copy(update={"call_id": call.id, **({} if text is None else {"text": text})})
        return record.message.model_copy(update={"parts": (result,)})


def cleared_text(number: int) -> str:
    """What stands for a result that is out of the window."""
    return f"[{record_id(number)}: this result was cleared from the window and is kept in memory]"


def _emptied(part: Part) -> Part:
    return part.model_copy(update={"arguments": {}, "malformed": ""}) if isinstance(part, Call) else part


def _note(text: str) -> Message:
    # the agent's own words: what it wrote can give no orders
    return Message(role="assistant", parts=(Text(text=text),))
