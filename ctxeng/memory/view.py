"""The window's view of a session: records and edits folded, with sums that follow what is added."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Literal

from ctxeng.memory.record import Cleared, Edit, Pruned, Record, Restored, Shortened, Summarised
from ctxeng.memory.unit import Shape, Unit, cleared_text
from ctxeng.message import Message, Result, Text

Price = Callable[[Message], int]
SUMMARY = "Summary of the conversation so far:\n"


@dataclass(frozen=True)
class Fault:
    """A record that could not stand in a request as it was, and what was done so that the request is valid.

    `duplicate`, `orphan` and `late` results are kept and not shown; a `missing` one is said to be missing.
    """

    kind: Literal["duplicate", "orphan", "late", "missing"]
    number: int
    call_id: str


@dataclass(frozen=True)
class Change:
    """What an edit did to the prompt, in tokens.

    `first` tokens before the first changed message stay as they were, `rewritten` tokens behind them are
    no longer in a prefix cache, `saved` is how many there are fewer.
    """

    first: int
    rewritten: int
    saved: int


@dataclass
class View:
    """Records in, messages out: always valid as a request, whatever came in.

    Every call has exactly one result right behind it, no result stands alone, nothing is empty. Adding
    costs O(what is added); an edit O(all). `marked` shows ids on results, for an agent that edits.
    """

    price: Price
    marked: bool = False
    records: list[Record] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    prices: list[int] = field(default_factory=list)
    tokens: int = 0
    turns: int = 0  # user messages shown
    upto: int = 0  # the last record that a summary stands for
    summary: str = ""
    units: list[Unit] = field(default_factory=list)  # shown, and not behind the summary
    kept: list[Unit] = field(default_factory=list)  # shown, though the summary stands for them too
    fresh: list[int] = field(default_factory=list)  # results that no policy has looked at yet
    _calls: dict[str, Unit] = field(default_factory=dict)  # the latest unit that makes a call of this id
    _texts: dict[int, str] = field(default_factory=dict)
    _emptied: set[int] = field(default_factory=set)
    _gone: set[int] = field(default_factory=set)
    _notes: dict[int, str] = field(default_factory=dict)
    _tail: int = 0  # messages before those of the last unit
    _folding: bool = False  # messages are put together once, when all is in

    # -- adding -----------------------------------------------------------------------------------------

    def add(self, record: Record) -> None:
        """Take in the next record."""
        self.records.append(record)
        (part, *_) = record.message.parts
        if isinstance(part, Result):
            self._answer(record, part.call_id)
            return
        unit = Unit(record)
        self.units.append(unit)
        self._calls.update((call.id, unit) for call in unit.calls)
        self._tail = len(self.messages)
        self._show(unit)

    def _answer(self, record: Record, call_id: str) -> None:
        unit = self._calls.get(call_id)
        if unit is None:
            self.faults.append(Fault("orphan", record.number, call_id))
        elif call_id in unit.results:
            self.faults.append(Fault("duplicate", record.number, call_id))
        elif unit.number <= self.upto and unit not in self.kept:
            self.faults.append(Fault("late", record.number, call_id))
        else:
            unit.answer(call_id, record)
            self.fresh.append(record.number)
            if self.units and unit is self.units[-1]:
                self._cut(self._tail)
                self._show(unit)
            else:
                self._rebuild()

    # -- editing ----------------------------------------------------------------------------------------

    def apply(self, edit: Edit) -> Change:
        """Make the edit; what it did to the prompt."""
        before, old = list(self.messages), self.tokens
        self.edits.append(edit)
        match edit:
            case Summarised():
                self._summarise(edit)
            case Cleared():
                self._texts.update((number, cleared_text(number)) for number in edit.numbers)
                if edit.inputs:
                    self._emptied.update(unit.number for unit in self._of(edit.numbers))
                self._changed(edit.numbers)
            case Shortened():
                self._texts[edit.number] = edit.text
                self._changed((edit.number,))
            case Pruned():
                self._gone.update(edit.numbers)
                if edit.text:
                    self._notes[min(edit.numbers)] = edit.text
                self._changed(edit.numbers)
            case Restored():
                self._restore(edit.numbers)
        self._rebuild()
        pairs = zip(before, self.messages, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1] or pair[0] == pair[1], pairs))
        first = sum(self.prices[:same])
        return Change(first, self.tokens - first, old - self.tokens)

    def would(self, edit: Edit) -> Change:
        """What the edit would do, without doing it."""
        trial = copy(self)
        for name, value in vars(self).items():
            if isinstance(value, list | dict | set):
                setattr(trial, name, copy(value))
        trial.units, trial.kept = [copy(unit) for unit in self.units], [copy(unit) for unit in self.kept]
        return trial.apply(edit)

    def _summarise(self, edit: Summarised) -> None:
        self.summary, self.upto = edit.text, edit.upto
        every, stay = [*self.kept, *self.units], set(edit.kept)
        self.units = [unit for unit in every if unit.number > edit.upto]
        self.kept = [unit for unit in every if unit.number <= edit.upto and unit.number in stay]

    def _restore(self, numbers: Sequence[int]) -> None:
        wanted = set(numbers)
        for number in wanted:
            self._texts.pop(number, None)
        self._gone -= wanted
        self._emptied -= {unit.number for unit in self._of(numbers)}
        self._changed(numbers)
        shown = {number for unit in (*self.kept, *self.units) for number in unit.numbers}
        hidden = wanted - shown
        if hidden:  # behind the summary: show them again beside it
            again = [u for u in units_of(self.records) if u.number <= self.upto and hidden & set(u.numbers)]
            self.kept = sorted([*self.kept, *again], key=lambda unit: unit.number)
            for unit in again:
                for call in unit.calls:
                    if self._calls[call.id].number == unit.number:  # no newer call has its id
                        self._calls[call.id] = unit

    def _of(self, numbers: Iterable[int]) -> list[Unit]:
        wanted = set(numbers)
        return [unit for unit in (*self.kept, *self.units) if not wanted.isdisjoint(unit.numbers)]

    def _changed(self, numbers: Iterable[int]) -> None:
        for unit in self._of(numbers):
            unit.changed()

    # -- asking -----------------------------------------------------------------------------------------

    def whole(self, number: int) -> bool:
        """Whether the record, where it is shown, is shown as it is."""
        return number not in self._texts and number not in self._gone

    def shortened(self, number: int) -> str | None:
        """What is shown of a result that was too large; None where it was not."""
        made = (edit for edit in self.edits if isinstance(edit, Shortened) and edit.number == number)
        return next((edit.text for edit in made), None)

    def cost(self, unit: Unit) -> int:
        """Tokens that the unit costs as it is shown."""
        return sum(price for _, price in unit.shown(self.shape, self.price))

    # -- the messages -----------------------------------------------------------------------------------

    @property
    def missing(self) -> list[Fault]:
        """Calls that are shown without a result of their own."""
        return [
            Fault("missing", unit.number, call_id)
            for unit in (*self.kept, *self.units)
            for call_id in unit.unanswered
        ]

    @property
    def shape(self) -> Shape:
        """How records are shown that are not shown whole."""
        return Shape(self._texts, self._emptied, self._gone, self._notes, self.marked)

    def _show(self, unit: Unit) -> None:
        if self._folding:
            return
        for message, price in unit.shown(self.shape, self.price):
            self._put(message, price)

    def _put(self, message: Message, price: int) -> None:
        self.messages.append(message)
        self.prices.append(price)
        self.tokens += price
        self.turns += message.role == "user"

    def _cut(self, start: int) -> None:
        self.tokens -= sum(self.prices[start:])
        self.turns -= sum(message.role == "user" for message in self.messages[start:])
        del self.messages[start:], self.prices[start:]

    def _rebuild(self) -> None:
        if self._folding:
            return
        self._cut(0)
        for unit in self.kept:
            self._show(unit)
        if self.summary:
            message = Message(role="user", parts=(Text(text=SUMMARY + self.summary),))
            self._put(message, self.price(message))
        for unit in self.units:
            self._tail = len(self.messages)
            self._show(unit)


def units_of(records: Sequence[Record]) -> list[Unit]:
    """The records as units; results that belong to no call are left out."""
    view = View(lambda _: 0, _folding=True)  # nothing is shown, so nothing is priced
    for record in records:
        view.add(record)
    return view.units


def folded(records: Sequence[Record], edits: Sequence[Edit], price: Price, *, marked: bool = False) -> View:
    """The view of a session from its beginning: each edit where it was made."""
    view, waiting = View(price, marked, _folding=True), list(reversed(edits))
    for record in records:
        while waiting and waiting[-1].made < record.number:
            view.apply(waiting.pop())
        view.add(record)
    while waiting:
        view.apply(waiting.pop())
    view.fresh.clear()
    view._folding = False  # noqa: SLF001 - of this module
    view._rebuild()  # noqa: SLF001
    return view
