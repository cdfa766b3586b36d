"""A session as complete segments, cut at every edit that changed what the model saw (SUPO)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ctxeng.memory.record import Cleared, Edit, Pruned, Record, Restored, Summarised
from ctxeng.memory.view import Price, View
from ctxeng.message import Message

Cut = Literal["summarised", "cleared", "pruned", "restored", "open"]


@dataclass(frozen=True)
class Segment:
    """What the model saw from one edit to the next. `text` is the summary, or the note, that it ended with.

    The last one is `open`: nothing has ended it yet. `start` and `end` are numbers of records, inclusive.
    """

    messages: tuple[Message, ...]
    cut: Cut
    text: str
    start: int
    end: int


def segments(records: Sequence[Record], edits: Sequence[Edit], price: Price) -> Iterator[Segment]:
    """Every segment, oldest first: the view as it was just before each edit, and as it is now.

    Setting a result aside ends none: the model never saw it otherwise.
    """
    view, waiting, start = View(price), sorted(edits, key=lambda edit: edit.made), 1
    for record in records:
        while waiting and waiting[0].made < record.number:
            edit = waiting.pop(0)
            if (segment := _ended(view, edit, start)) is not None:
                yield segment
                start = record.number
            view.apply(edit)
        view.add(record)
    for edit in waiting:
        if (segment := _ended(view, edit, start)) is not None:
            yield segment
            start = len(records) + 1
        view.apply(edit)
    if view.messages:
        yield Segment(tuple(view.messages), "open", "", start, len(records))


def _ended(view: View, edit: Edit, start: int) -> Segment | None:
    if not isinstance(edit, Summarised | Pruned | Cleared | Restored):
        return None
    text = edit.text if isinstance(edit, Summarised | Pruned) else ""
    return Segment(tuple(view.messages), edit.type, text, start, len(view.records))
