"""A worth that counts what it is asked: searches are compared at equal numbers of reward calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ctxeng.chunks.pool import Floats, Worth


@dataclass
class Counted:
    """Another worth, asked through this one. `calls` counts sets, `batches` requests; `of(())` is free."""

    worth: Worth
    calls: int = 0
    batches: int = 0

    @property
    def ordered(self) -> bool:
        """Whether the order of a set changes its worth."""
        return self.worth.ordered

    def of(self, chosen: Sequence[int]) -> float:
        """The worth of this set."""
        self.calls += bool(chosen)
        self.batches += bool(chosen)
        return self.worth.of(chosen)

    def extend(self, chosen: Sequence[int]) -> Floats:
        """(N,): the worth with each chunk added at the end; counts those that are not chosen yet."""
        found = self.worth.extend(chosen)
        self.calls += len(found) - len(chosen)
        self.batches += 1
        return found
