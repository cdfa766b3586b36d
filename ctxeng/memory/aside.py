"""Results too large for the window: their beginning and end are shown, and the reference to the whole."""

from __future__ import annotations

from dataclasses import dataclass

from ctxeng.memory.policy import Proposed
from ctxeng.memory.record import Record, Shortened
from ctxeng.memory.view import View
from ctxeng.message import Message, Result
from ctxeng.text.clip import clip_middle


@dataclass(frozen=True)
class SetAside:
    """Shows at most `most` tokens of a result; the rest is kept under the record's id, and the text says so.

    Only results that are new are looked at, so that what a cache holds stays as it is.
    """

    most: int = 4_000

    def propose(self, view: View) -> Proposed | None:
        """The first new result that is too large."""
        while view.fresh:
            record = view.records[view.fresh.pop(0) - 1]
            if view.price(record.message) > self.most:
                return Proposed(Shortened(number=record.number, text=self._shown(record, view)))
        return None

    def _shown(self, record: Record, view: View) -> str:
        (part,) = record.message.parts
        assert isinstance(part, Result)
        size = len(part.text)
        line = (
            f"\n[{record.id}: too large for the window; its {size:,} characters are in memory as {record.id}]"
        )

        def fits(text: str) -> bool:
            shown = part.model_copy(update={"text": text + line})
            return view.price(Message(role="tool", parts=(shown,))) <= self.most

        return clip_middle(part.text, fits) + line
