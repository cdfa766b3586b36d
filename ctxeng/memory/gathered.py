"""What of a session stands in a window: its summary, its newest units, and what a search recalls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ctxeng.memory.intake import taken_in
from ctxeng.memory.recall import Found
from ctxeng.memory.unit import Shape, Unit
from ctxeng.memory.view import units_of
from ctxeng.message import Message, Result, Trust
from ctxeng.protocols import Allowance
from ctxeng.text.clip import clip_middle
from ctxeng.turn import Chunk, Section

SOURCE = "memory"
_SLACK = 0.7  # of the room: how far history is cut once it no longer fits, so that the next turns still fit


@dataclass
class Filling:
    """Sections under an allowance, one after another."""

    allowance: Allowance
    left: int
    sections: list[Section] = field(default_factory=list)

    def put(self, *sections: Section) -> bool:
        """Whether they fit, all together; then they are in."""
        priced = [self.allowance.priced(section) for section in sections]
        needed = sum(section.tokens for section in priced)
        if needed > self.left:
            return False
        self.sections += priced
        self.left -= needed
        return True

    def summary(self, text: str, trust: Trust) -> None:
        """The summary; cut in its middle where it does not fit whole, left out where nothing does."""

        def section(shown: str) -> Section:
            return Section(kind="summary", source=SOURCE, body=shown, ref="summary", trust=trust)

        if not text or self.put(section(text)):
            return
        self.put(section(clip_middle(text, lambda cut: self.allowance.price(section(cut)) <= self.left)))

    def history(self, units: Sequence[Unit], shape: Shape, before: Sequence[str]) -> list[Unit]:
        """The newest units that fit, in order; `before` are the refs that the last turn showed.

        Where the first unit shown before still fits, it stays the first one; where it does not, more goes
        than has to, so that the beginning of the prompt does not change at every turn.
        """
        shown = [[self.allowance.priced(each) for each in sections_of(unit, shape)] for unit in units]
        costs = [sum(section.tokens for section in each) for each in shown]
        start = _start(costs, self.left)
        if start and before:
            old = next((i for i, unit in enumerate(units) if unit.head.id in before), 0)
            start = old if old >= start else _start(costs, int(self.left * _SLACK))
        for each in shown[start:]:
            self.sections += each
        self.left -= sum(costs[start:])
        return list(units[start:])

    def recalled(self, found: Sequence[Found], most: int) -> None:
        """The finds that fit in `most` tokens, in the order in which they were said."""
        left, kept = min(most, self.left), []
        for each in found:
            section = self.allowance.priced(recalled_section(each))
            if section.tokens <= left:
                kept.append((each, section))
                left -= section.tokens
                self.left -= section.tokens
        kept.sort(key=lambda pair: (pair[0].record.time, pair[0].session, pair[0].record.number))
        self.sections += [section for _, section in kept]


def sections_of(unit: Unit, shape: Shape) -> list[Section]:
    """The unit's messages as sections; refs are the records' ids."""
    ids = {call_id: record.id for call_id, record in unit.results.items()}
    found = []
    for message in unit.messages(shape):
        (part, *_) = message.parts
        result = isinstance(part, Result)
        ref = ids.get(part.call_id, "") if isinstance(part, Result) else unit.head.id
        trust: Trust = "untrusted" if result else "user"
        found.append(Section(kind="message", source=SOURCE, body=message, ref=ref, trust=trust))
    return found


def recalled_section(found: Found) -> Section:
    """A find as a document: data, with who said it and when."""
    record = found.record
    said = f"{record.message.role}, {record.time}" if record.time else record.message.role
    chunk = Chunk(
        id=found.ref,
        text=record.message.text,
        source=found.session,
        title=f"said earlier by {said}",
        end=len(record.message.text),
        trust="user" if record.message.role == "user" else "untrusted",
    )
    return Section(kind="chunk", source=SOURCE, body=chunk, ref=found.ref, trust=chunk.trust)


def given_units(history: Sequence[Message]) -> list[Unit]:
    """An application's own history as units: calls with results, orphans left out."""
    records = taken_in([("", message) for message in history], 0)
    return units_of(records)


def _start(costs: Sequence[int], room: int) -> int:
    """Where the newest units begin that fit."""
    start = len(costs)
    while start and costs[start - 1] <= room:
        start -= 1
        room -= costs[start]
    return start
