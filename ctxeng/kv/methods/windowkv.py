"""WindowKV: contiguous windows by what the task asks for, the same for all heads and for groups of layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from ctxeng.errors import BadInput
from ctxeng.kv.evict import Evicting
from ctxeng.kv.methods.snapkv import ObservationWindow, observed
from ctxeng.kv.policy import Evidence
from ctxeng.kv.sequence import Shape

_SUFFIX = {"localise": 32, "aggregate": 16}


@dataclass(frozen=True)
class WindowKV:
    """Whole windows of `size` rows, scored by the last queries.

    `localise`, where something is to be found: 32 queries, the mean of a window's better half. `aggregate`,
    where all counts: 16 queries, the plain mean. `group` layers share what the first of them chose. Budgets
    fall from group to group in even steps; the last gets `budget` x 8 / `slope`, their mean is the budget.
    """

    budget: float = 512
    task: Literal["localise", "aggregate"] = "localise"
    size: int = 8
    group: int = 8
    slope: float = 14.0

    def __post_init__(self) -> None:
        if self.task not in _SUFFIX:
            raise BadInput(f"WindowKV's task is localise or aggregate, not {self.task!r}")
        if self.budget <= 0 or (self.budget >= 1 and self.budget < self.suffix + self.size):
            raise BadInput(f"a budget of {self.budget:g} rows holds no window beside the last {self.suffix}")

    @property
    def suffix(self) -> int:
        """Queries that are looked at; their rows stay."""
        return _SUFFIX[self.task]

    @property
    def scorer(self) -> ObservationWindow:
        """What has to be kept of the queries."""
        return ObservationWindow(self.suffix)

    @property
    def rows(self) -> int:
        """Queries at the prompt's end it has to see."""
        return self.suffix

    @property
    def every(self) -> int:
        """Thinned once, when the prompt is read."""
        return 0

    @property
    def destroys(self) -> bool:
        """Rows are given up for good."""
        return True

    def watch(self, shape: Shape) -> Evicting:
        """Begin on a new sequence."""
        return Evicting(self, shape)

    def choose(self, evidence: list[Evidence]) -> list[list[Tensor]]:
        """Row numbers to keep by layer and head: the same within a group."""
        tokens = evidence[0].tokens
        groups = -(-len(evidence) // self.group)
        found: list[list[Tensor]] = []
        for number in range(groups):
            members = evidence[number * self.group : (number + 1) * self.group]
            kept = self._windows(members[0], self._share(number, groups, tokens))
            found += [[kept] * len(e.keys) for e in members]
        return found

    def _share(self, number: int, groups: int, tokens: int) -> int:
        budget = self.budget if self.budget >= 1 else self.budget * tokens
        if groups == 1:
            return int(budget)
        last = max(budget * 8 / self.slope, 2 * budget - tokens)
        first = 2 * budget - last
        return int(first - (first - last) * number / (groups - 1))

    def _windows(self, evidence: Evidence, budget: int) -> Tensor:
        before = evidence.tokens - self.suffix
        if before <= 0 or budget >= evidence.tokens:
            return torch.arange(evidence.tokens)
        seen = observed(evidence)[..., :before].mean((0, 1, 2))
        windows = functional.pad(seen, (0, -before % self.size), value=-1.0).view(-1, self.size)
        if self.task == "localise":
            windows = windows.topk(self.size // 2, -1).values
        scores = windows.clamp(min=0).mean(-1)
        count = max(0, (budget - self.suffix) // self.size)
        best = scores.argsort(descending=True, stable=True)[:count].sort().values
        rows = (best.unsqueeze(1) * self.size + torch.arange(self.size)).flatten()
        return torch.cat((rows[rows < before], torch.arange(before, evidence.tokens)))
