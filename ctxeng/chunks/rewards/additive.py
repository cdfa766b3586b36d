"""The plainest reward: the sum of what the chunks are worth one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ctxeng.chunks.pool import Floats, Pool


@dataclass(frozen=True)
class Additive:
    """The sum of relevance, less `floor` for each chunk: one that is less relevant does not pay."""

    floor: float = 0.0

    def on(self, pool: Pool) -> AdditiveWorth:
        """The rule applied to this pool."""
        return AdditiveWorth(np.asarray(pool.relevance, dtype=np.float64) - self.floor)


@dataclass(frozen=True, eq=False)
class AdditiveWorth:
    """The sum of these values, (N,)."""

    values: Floats
    ordered: bool = False

    def of(self, chosen: Sequence[int]) -> float:
        """The worth of this set."""
        return sum(map(self._numbers.__getitem__, chosen), 0.0)

    def extend(self, chosen: Sequence[int]) -> Floats:
        """(N,): the worth with each chunk added."""
        return self.values + self.of(chosen)

    @cached_property
    def _numbers(self) -> list[float]:
        numbers: list[float] = self.values.tolist()
        return numbers  # sets are small: adding plain numbers is faster than an array's sum
