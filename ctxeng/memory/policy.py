"""What shrinks a view: the seam, and when an edit is worth the cache it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ctxeng.memory.record import Edit
from ctxeng.memory.view import Change, View
from ctxeng.turn import Usage


@dataclass(frozen=True)
class Proposed:
    """An edit, and what finding it cost."""

    edit: Edit
    usage: Usage = Usage()


class Policy(Protocol):
    """Something that keeps a view small."""

    def propose(self, view: View) -> Proposed | None:
        """The edit to make now; None where nothing is to be done, which is found out in constant time."""
        ...


@dataclass(frozen=True)
class Worth:
    """Whether an edit pays, where cached tokens cost a part of others.

    An edit saves `saved` cached tokens in each of the next `calls` calls, and makes `rewritten` tokens be
    read anew once. `cached` is the price of a cached token, as a part of an uncached one's.
    """

    calls: int = 20
    cached: float = 0.1

    def pays(self, change: Change) -> bool:
        """Whether what it saves is at least what it costs."""
        return change.saved * self.cached * self.calls >= change.rewritten * (1 - self.cached)
