"""What of a session stands in a window: its summary, its newest units, and what a search recalls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ctxeng.memory.facts import State
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
        shown = self._newest(units, shape, self.left)
        start = len(units) - len(shown)
        if start and before:
            old = next((i for i, unit in enumerate(units) if _ref(unit) in before), 0)
            if old < start:
                shown = self._newest(units, shape, int(self.left * _SLACK))
                start = len(units) - len(shown)
            else:
                shown, start = shown[old - start :], old
        for sections in shown:
            self.sections += sections
            self.left -= sum(section.tokens for section in sections)
        return list(units[start:])

    def _newest(self, units: Sequence[Unit], shape: Shape, room: int) -> list[list[Section]]:
        found: list[list[Section]] = []
        for unit in reversed(units):
            priced = [self.allowance.priced(section) for section in sections_of(unit, shape)]
            room -= sum(section.tokens for section in priced)
            if room < 0:
                break
            found.append(priced)
        return found[::-1]

    def recalled(self, found: Sequence[Found], most: int) -> None:
        """The finds that fit in `most` tokens, a document a session, in the order in which they were said."""
        left = min(most, self.left)
        kept: dict[str, list[Found]] = {}
        for each in found:
            alone = Section(kind="query", source=SOURCE, body=_line(each))
            new = each.session not in kept
            cost = self.allowance.price(recalled_section([each]) if new else alone)
            if cost <= left:
                kept.setdefault(each.session, []).append(each)
                left -= cost
        for said in sorted(kept.values(), key=lambda said: said[0].records[0].time):
            while said and not self.put(recalled_section(said)):
                said.pop()  # joined, they cost more than one by one


def sections_of(unit: Unit, shape: Shape) -> list[Section]:
    """The unit's messages as sections; refs are the records' ids, or the messages' own without a record."""
    ids = {call_id: record.id for call_id, record in unit.results.items()} if unit.stored else {}
    found = []
    for message in unit.messages(shape if unit.stored else Shape()):
        (part, *_) = message.parts
        result = isinstance(part, Result)
        ref = ids.get(part.call_id, "") if isinstance(part, Result) else _ref(unit)
        trust: Trust = "untrusted" if result else "user"
        found.append(Section(kind="message", source=SOURCE, body=message, ref=ref, trust=trust))
    return found


def _ref(unit: Unit) -> str:
    return unit.head.id if unit.stored else unit.head.message.id


def recalled_section(found: Sequence[Found]) -> Section:
    """Finds of one session as a document: data, each with its id, who said it, and when."""
    (first, *_) = found
    ordered = sorted(found, key=lambda each: each.records[0].number)
    text = "\n".join(map(_line, ordered))
    users = all(record.message.role == "user" for each in found for record in each.records)
    chunk = Chunk(
        id=f"{first.session}:recalled",
        text=text,
        source=first.session,
        title="said earlier",
        end=len(text),
        trust="user" if users else "untrusted",
        parts=tuple(ref for each in ordered for ref in each.refs),
    )
    return Section(kind="chunk", source=SOURCE, body=chunk, ref=first.session, trust=chunk.trust)


def _line(found: Found) -> str:
    first, last = found.records[0], found.records[-1]
    day = f", {first.time[:10]}" if first.time else ""
    if first is last:
        return f"[{first.id} {first.message.role}{day}] {found.text}"
    return f"[{first.id} to {last.id}{day}]\n{found.text}"


def fact_section(state: State) -> Section:
    """What holds of a subject now, and what held before."""
    fact = state.newest
    chunk = Chunk(id=fact.source, text=state.text, source=fact.source, title="said by the user", trust="user")
    return Section(kind="chunk", source=SOURCE, body=chunk, ref=fact.source, trust="user")


def given_units(history: Sequence[Message]) -> list[Unit]:
    """An application's own history as units: calls with results, orphans left out."""
    records = taken_in([("", message) for message in history], 0)
    units = units_of(records)
    for unit in units:
        unit.stored = False
    return units


def _start(costs: Sequence[int], room: int) -> int:
    """Where the newest units begin that fit."""
    start = len(costs)
    while start and costs[start - 1] <= room:
        start -= 1
        room -= costs[start]
    return start
