"""A node of a search tree, and its arms: the children that may be picked, with what is known of each."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Generic

import numpy as np

from ctxeng.search.space import Extension, Floats, Move

_NOTHING: list[float] = []  # one for all nodes: it is replaced, never written to
_NOBODY = (-1, 0.0, 0.0)


def _nothing() -> list[float]:
    return _NOTHING


@dataclass(slots=True, eq=False)
class Node(Generic[Move]):
    """A state that was extended. Child k is reached by `children.moves[k]`; it is a node once it was, too.

    Arm a leads to child `arms[a]`; its figures are those of that edge: where states are shared, the child
    itself may know more. An arm starts with one visit, its child's own reward. Most nodes are never picked
    from, so there are no arms until `unfold`. They are plain lists: at ten arms, arrays take four times as
    long.
    """

    state: tuple[Move, ...]
    reward: float
    children: Extension[Move]
    width: int  # how many children may be picked, the best ones, unless they are the last of their line
    nodes: dict[int, Node[Move]] = field(default_factory=dict)  # by child
    count: float = 1.0
    total: float = field(init=False)
    left: int = field(init=False)  # arms that can still be picked
    arms: list[int] = field(default_factory=list)
    means: list[float] = field(default_factory=_nothing)
    visits: list[float] = field(default_factory=_nothing)
    spread: list[float] = field(default_factory=_nothing)  # 1 / sqrt(visits)
    prices: list[float] = field(default_factory=_nothing)  # what is taken off the means, times the span
    rated: list[float] = field(default_factory=_nothing)  # mean less price; -inf: not picked any more
    span: float = 0.0
    ahead: tuple[int, float, float] = _NOBODY  # the arm picked last, the second's utility, exploration then

    def __post_init__(self) -> None:
        self.total = self.reward
        size, last = len(self.children.rewards), self.children.last
        if last is not None and self.width >= size:
            self.left = size - int(np.count_nonzero(last))
        else:
            self.left = min(size, self.width)  # at most: sorting can wait until `unfold`

    @property
    def mean(self) -> float:
        """The mean of its own reward and of all that was learned below it."""
        return self.total / self.count

    def after(self, index: int) -> tuple[Move, ...]:
        """The state of a child."""
        return (*self.state, self.children.moves[index])

    def seen(self, index: int) -> tuple[float, float]:
        """How often a child was visited, and the mean of the rewards there."""
        if index in self.arms:
            arm = self.arms.index(index)
            return self.visits[arm], self.means[arm]
        return 1.0, float(self.children.rewards[index])

    def kept(self) -> Floats:
        """The rewards of the best `width` children, in no order."""
        rewards = self.children.rewards
        return rewards if self.width >= len(rewards) else np.sort(rewards)[len(rewards) - self.width :]

    def unfold(self, cost_weight: float, ties: list[float]) -> None:
        """Lay out the arms, best first; `ties` (K,) are tiny prices that settle who comes first."""
        rewards, last = self.children.rewards, self.children.last
        best = (-rewards).argsort(kind="stable")[: self.width]
        if last is not None:
            best = best[~last[best]]
        self.arms = best.tolist()
        self.means = rewards[best].tolist()
        costs = self.children.costs[best].tolist()
        self.prices = [cost * cost_weight + tie for cost, tie in zip(costs, ties, strict=False)]
        self.visits, self.spread = [1.0] * len(self.arms), [1.0] * len(self.arms)
        self.rated = [0.0] * len(self.arms)
        self.left = len(self.arms)

    def scale(self, span: float) -> None:
        """Let prices be shares of this range of rewards from now on."""
        self.span, self.ahead = span, _NOBODY
        self.rated = [
            -math.inf if rate == -math.inf else mean - price * span
            for rate, mean, price in zip(self.rated, self.means, self.prices, strict=True)
        ]

    def best(self, exploration: float) -> int:
        """The arm of the highest utility, mean less price plus `exploration` / sqrt(visits).

        Since the last look only the arm picked then has learned, and the others have gained at most what
        `exploration` has: where it is still ahead of that, nobody else need be looked at.
        """
        arm, second, then = self.ahead
        if arm >= 0 and self.spread[arm] * exploration + self.rated[arm] > second + exploration - then:
            return arm
        utility = [share * exploration + rate for share, rate in zip(self.spread, self.rated, strict=True)]
        arm = utility.index(max(utility))
        utility[arm] = -math.inf
        self.ahead = arm, max(utility), exploration
        return arm

    def learn(self, arm: int, count: int, total: float) -> None:
        """Count rewards that were found below an arm: how many, and their sum."""
        seen = self.visits[arm]
        visits = seen + count
        self.means[arm] = mean = (self.means[arm] * seen + total) / visits
        self.rated[arm] = mean - self.prices[arm] * self.span
        self.visits[arm] = visits
        self.spread[arm] = visits**-0.5
        self.note(count, total)

    def note(self, count: int, total: float) -> None:
        """Count rewards that were found below this node."""
        self.count += count
        self.total += total

    def shut(self, arm: int) -> None:
        """Never pick this arm again."""
        self.rated[arm], self.ahead = -math.inf, _NOBODY
        self.left -= 1

    def admit(self, index: int, price: float) -> int:
        """The arm of this child, which becomes one if it was not among the best, at this price."""
        if index in self.arms:
            return self.arms.index(index)
        self.ahead = _NOBODY
        self.arms.append(index)
        self.means.append(float(self.children.rewards[index]))
        self.prices.append(price)
        self.visits.append(1.0)
        self.spread.append(1.0)
        self.rated.append(self.means[-1] - price * self.span)
        self.left += 1
        return len(self.arms) - 1
