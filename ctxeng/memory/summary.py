"""Summaries that have read everything they stand for: the seam, and the fold that makes it so (SUPO)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ctxeng.turn import Usage


@dataclass(frozen=True)
class Folded:
    """A summary, and what making it cost."""

    text: str
    usage: Usage = Usage()


class Summarizer(Protocol):
    """Something that takes more text into a summary."""

    def fold(self, summary: str, text: str, room: int) -> Folded:
        """The summary that stands for both from now on, of at most `room` tokens; `summary` may be empty."""
        ...


def fold_all(summarizer: Summarizer, summary: str, pieces: Sequence[str], room: int) -> Folded:
    """Every piece folded in, in order: none is left out, however many there are."""
    usage = Usage()
    for piece in pieces:
        folded = summarizer.fold(summary, piece, room)
        summary, usage = folded.text, usage + folded.usage
    return Folded(summary, usage)
