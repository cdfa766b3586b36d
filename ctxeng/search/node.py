"""A node of a search tree: its children's figures as arrays, so that picking one is a few operations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic

import numpy as np

from ctxeng.search.space import Extension, Floats, Move

_NOTHING: Floats = np.empty(0)


def _nothing() -> Floats:
    return _NOTHING  # one for all nodes: it is replaced, never written to


@dataclass(slots=True, eq=False)
class Node(Generic[Move]):
    """A state that was extended. Child k is reached by `children.moves[k]`; it is a node once it was, too.

    The arrays are those of the edges to the children: where states are shared, the child itself may know
    more. A child starts with one visit, its own reward. Most nodes are never picked from, so the arrays are
    empty until `unfold`.
    """

    state: tuple[Move, ...]
    reward: float
    children: Extension[Move]
    width: int  # how many children may be picked, the best ones, unless they are the last of their line
    nodes: dict[int, Node[Move]] = field(default_factory=dict)
    count: float = 1.0
    total: float = field(init=False)
    left: int = field(init=False)  # children that can still be picked
    means: Floats = field(default_factory=_nothing)  # (K,)
    visits: Floats = field(default_factory=_nothing)  # (K,)
    spread: Floats = field(default_factory=_nothing)  # (K,): 1 / sqrt(visits)
    prices: Floats = field(default_factory=_nothing)  # (K,): what is taken off the means, times the span
    rated: Floats = field(default_factory=_nothing)  # (K,): mean less price; -inf: not picked any more
    span: float = 0.0

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

    def kept(self) -> Floats:
        """The rewards of the best `width` children, in no order."""
        rewards = self.children.rewards
        return rewards if self.width >= len(rewards) else np.sort(rewards)[len(rewards) - self.width :]

    def unfold(self, prices: Floats) -> None:
        """Lay out the arrays from which children are picked."""
        self.means = self.children.rewards.copy()
        self.visits = np.ones(len(self.means))
        self.spread = np.ones(len(self.means))
        self.prices = prices
        last = self.children.last
        closed = np.zeros(len(self.means), dtype=bool) if last is None else last.copy()
        closed[np.argsort(-self.means, kind="stable")[self.width :]] = True
        self.rated = np.where(closed, -np.inf, 0.0)
        self.left = len(closed) - int(np.count_nonzero(closed))

    def scale(self, span: float) -> None:
        """Let prices be shares of this range of rewards from now on."""
        self.span = span
        self.rated = np.where(self.rated == -np.inf, -np.inf, self.means - self.prices * span)

    def best(self, exploration: float) -> int:
        """The child of the highest utility, mean less price plus `exploration` / sqrt(visits)."""
        utility = self.spread * exploration
        utility += self.rated
        return int(utility.argmax())

    def learn(self, index: int, count: int, total: float) -> None:
        """Count rewards that were found below a child: how many, and their sum."""
        seen = float(self.visits[index])
        mean = (float(self.means[index]) * seen + total) / (seen + count)
        self.means[index] = mean
        self.rated[index] = mean - float(self.prices[index]) * self.span
        self.visits[index] = seen + count
        self.spread[index] = (seen + count) ** -0.5
        self.note(count, total)

    def note(self, count: int, total: float) -> None:
        """Count rewards that were found below this node."""
        self.count += count
        self.total += total

    def shut(self, index: int) -> None:
        """Never pick this child again."""
        self.rated[index] = -np.inf
        self.left -= 1

    def admit(self, index: int) -> None:
        """Let this child be picked although it is not among the best."""
        last = self.children.last
        if self.rated[index] == -np.inf and (last is None or not last[index]):
            self.rated[index] = self.means[index] - self.prices[index] * self.span
            self.left += 1
