"""When a summary takes the place of history, and what stays beside it (SUPO)."""

from __future__ import annotations

from dataclasses import dataclass

from ctxeng.errors import BadInput
from ctxeng.memory.policy import Proposed
from ctxeng.memory.record import Record, Summarised
from ctxeng.memory.summary import Summarizer, fold_all
from ctxeng.memory.told import pieces
from ctxeng.memory.trigger import Condition, Trigger
from ctxeng.memory.unit import Unit
from ctxeng.memory.view import View
from ctxeng.message import Result
from ctxeng.tokens import Counter


@dataclass(frozen=True)
class Compaction:
    """Where `trigger` fires, everything but the newest `keep` tokens goes into a summary of `room` tokens.

    What the user asked last stays in its own words. The summariser reads every record that goes, in pieces
    of `chunk` tokens, on top of the summary so far; a result that was set aside, it reads as the window
    showed it. `rounds` is how many summaries one user message may lead to; None: any number.
    """

    summarizer: Summarizer
    count: Counter
    trigger: Trigger = Condition("tokens", 20_000)
    keep: int = 1_500
    room: int = 800
    chunk: int = 4_000
    rounds: int | None = None

    def __post_init__(self) -> None:
        if min(self.keep, self.room, self.chunk) < 1:
            raise BadInput(f"keep {self.keep}, room {self.room} and chunk {self.chunk} are tokens, 1 or more")
        when = self.trigger
        if isinstance(when, Condition) and when.measure == "tokens" and when.least <= self.keep + self.room:
            left = self.keep + self.room
            raise BadInput(f"a summary at {when.least} tokens that leaves {left} would be due again at once")

    def propose(self, view: View) -> Proposed | None:
        """The summary; None where the trigger does not fire, or where nothing can go."""
        if not self.trigger.fires(view) or self.spent(view):
            return None
        staying = self._newest(view)
        upto = len(view.records) if not staying else staying[0].number - 1
        kept = _asked(view, staying)
        going = (view.cost(unit) for unit in view.units if unit.number <= upto and unit.number not in kept)
        if view.summary and sum(going) < self.room // 2:
            return None  # what has to stay is over the limit alone: a summary a step would free nothing
        return self.folded(view, upto, kept)

    def folded(self, view: View, upto: int, kept: tuple[int, ...] = ()) -> Proposed | None:
        """The summary of everything up to the record of that number; None where that is nothing new."""
        if upto <= view.upto:
            return None
        gone = [_read(record, view) for record in view.records[view.upto : upto]]
        folded = fold_all(self.summarizer, view.summary, pieces(gone, self.count, self.chunk), self.room)
        return Proposed(Summarised(upto=upto, text=folded.text, kept=kept), folded.usage)

    def spent(self, view: View) -> bool:
        """Whether the last user message has led to as many summaries as it may."""
        if self.rounds is None:
            return False
        made = 0
        for edit in reversed(view.edits):
            if isinstance(edit, Summarised):
                if any(record.message.role == "user" for record in view.records[edit.made :]):
                    break
                made += 1
        return made >= self.rounds

    def _newest(self, view: View) -> list[Unit]:
        """The newest units that fit; the last one always, for it is what the model has to answer to."""
        staying: list[Unit] = []
        left = self.keep
        for unit in reversed(view.units):
            left -= view.cost(unit)
            if staying and left < 0:
                break
            staying.insert(0, unit)
        return staying


def _asked(view: View, staying: list[Unit]) -> tuple[int, ...]:
    """The last user message, where it is not among what stays anyway."""
    if any(unit.head.message.role == "user" for unit in staying):
        return ()
    asked = [u.number for u in (*view.kept, *view.units) if u.head.message.role == "user"]
    return tuple(asked[-1:])


def _read(record: Record, view: View) -> Record:
    """The record as the summariser reads it."""
    (part, *_) = record.message.parts
    shown = view.shortened(record.number)
    if shown is None or not isinstance(part, Result):
        return record
    message = record.message.model_copy(update={"parts": (part.model_copy(update={"text": shown}),)})
    return record.model_copy(update={"message": message})
