"""Monte Carlo tree search under a budget (CORAG): which moves, in which order, and how many of them."""

from __future__ import annotations

import math
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, get_args

import numpy as np

from ctxeng.errors import BadInput, UnknownName
from ctxeng.search.node import Node
from ctxeng.search.space import Extension, Keyed, Move, Space

Backup = Literal["all", "best"]
Final = Literal["reward", "mean"]

_TIES = 1e-12  # of the range of rewards: what a seeded draw may add to break ties


@dataclass(frozen=True)
class Found(Generic[Move]):
    """The best state, and what finding it took.

    `iterations` counts the nodes that were extended, `calls` the states that were scored and `batches` the
    requests for them; `root` is the tree. `cut` says that time ran out, `exhausted` that nothing was left.
    """

    state: tuple[Move, ...]
    reward: float
    iterations: int
    calls: int
    batches: int
    root: Node[Move]
    cut: bool = False
    exhausted: bool = False


@dataclass(frozen=True)
class TreeSearch:
    """The tree search of CORAG (arXiv 2411.00744), later named CARROT.

    The next node to extend is reached by taking, at each level, the child of the highest utility

        V / n + exploration * sqrt(ln N / n) - cost_weight * cost / budget

    and all its children are scored in one batch; the result may be of any depth. `backup` "all" counts
    every child's reward on the way up (the released code), "best" only that of the best one (the paper's
    text). `final` "reward" takes the highest reward of any state that was scored (the released code), "mean"
    the highest mean V / n of any state that was extended, or has no children (the paper's text).

    V / n is taken relative to the lowest and highest reward seen so far, so that `exploration` and
    `cost_weight` mean the same for every scale of rewards. `width` is how many children of a node may be
    picked, the best ones; the others can still be the result. Ties are broken by draws from `seed`.
    `deadline` is in seconds from the start: the search then ends with what it has, after the root, the seeds
    and the batch at hand. It ends early where nothing is left to extend.
    """

    iterations: int = 200
    exploration: float = 2.0
    cost_weight: float = 0.1
    backup: Backup = "all"
    final: Final = "reward"
    width: int | None = None
    seed: int = 0
    deadline: float | None = None

    def __post_init__(self) -> None:
        if self.backup not in get_args(Backup):
            raise UnknownName("backup", self.backup, get_args(Backup))
        if self.final not in get_args(Final):
            raise UnknownName("final", self.final, get_args(Final))
        for name in ("iterations", "exploration", "cost_weight"):
            if getattr(self, name) < 0:
                raise BadInput(f"{name} is {getattr(self, name)}, it must be at least 0")
        if self.width is not None and self.width < 1:
            raise BadInput(f"width is {self.width}, it must be at least 1; leave it out to keep every child")

    def run(self, space: Space[Move], seeds: Sequence[tuple[Move, ...]] = ()) -> Found[Move]:
        """The best state found; its reward is never below that of a seed, nor, with `final` "reward", 0.

        Seeds are states known to be good: the tree holds them from the start. Raises BadInput for a seed
        that the space does not allow.
        """
        end = math.inf if self.deadline is None else time.monotonic() + self.deadline
        tree = _Tree(self, space)
        known = max((tree.insert(tuple(seed)) for seed in seeds), key=lambda pair: pair[1], default=None)
        iterations, cut = 0, False
        while iterations < self.iterations:
            cut = time.monotonic() > end
            path = [] if cut else tree.descend()
            if not path:
                break
            tree.grow(path)
            iterations += 1
        state, reward = tree.best if self.final == "reward" else tree.best_mean()
        if known is not None and reward < known[1]:
            state, reward = known
        exhausted = not tree.root.left
        return Found(
            state, reward, iterations, tree.calls, tree.batches, tree.root, cut and not exhausted, exhausted
        )


Path = list[tuple[Node[Move], int]]  # nodes, and the arm taken at each


class _Tree(Generic[Move]):
    """The tree while it grows."""

    def __init__(self, options: TreeSearch, space: Space[Move]) -> None:
        self.options, self.space = options, space
        self.draw = np.random.default_rng(options.seed)
        self.nodes: dict[Hashable, Node[Move]] = {}
        self.keyed = space if isinstance(space, Keyed) else None
        self.best: tuple[tuple[Move, ...], float] = ((), 0.0)
        self.best_last: tuple[tuple[Move, ...], float] = ((), -math.inf)
        self.low = self.high = 0.0
        self.span = 1.0
        self.calls = self.batches = 0
        self.root = self._extended((), 0.0)
        self._back_up([], self.root)

    def insert(self, seed: tuple[Move, ...]) -> tuple[tuple[Move, ...], float]:
        """Extend every state on the way to the seed, so that it can be picked; the seed and its reward."""
        node, reward = self.root, 0.0
        path: Path[Move] = []
        for place, move in enumerate(seed):
            if move not in node.children.moves:
                raise BadInput(f"the seed {seed} is not feasible: its move {place + 1}, {move!r}, is not")
            index = list(node.children.moves).index(move)
            reward = float(node.children.rewards[index])
            self._lay_out(node)
            last = node.children.last
            if place == len(seed) - 1 and last is not None and last[index]:
                break  # nothing can follow it: it is scored, and never picked
            arm = node.admit(index, float(node.children.costs[index]) * self.options.cost_weight)
            path.append((node, arm))
            if place < len(seed) - 1:
                node = self._child(node, arm) or self.grow(path)
        return seed, reward

    def best_mean(self) -> tuple[tuple[Move, ...], float]:
        """The state of the highest mean among those that were extended or cannot be, and its reward."""
        node = max(self.nodes.values(), key=lambda node: node.mean)
        return self.best_last if self.best_last[1] > node.mean else (node.state, node.reward)

    def descend(self) -> Path[Move]:
        """The way to the next child to extend; empty when nothing is left to extend."""
        node, weight = self.root, self.options.exploration * self.span
        path: Path[Move] = []
        while self.root.left:
            if node.span != self.span:
                self._lay_out(node)
            if not node.left:
                if path:
                    node = path.pop()[0]  # which then finds this child done, and looks for another
                continue
            # scaling the weights up by the range of rewards spares scaling every mean down by it
            arm = node.best(weight * math.sqrt(math.log(node.count)))
            child = node.nodes.get(node.arms[arm]) or self._child(node, arm)
            if child is not None and not child.left:
                node.shut(arm)
                continue
            path.append((node, arm))
            if child is None:
                return path
            node = child
        return []

    def grow(self, path: Path[Move]) -> Node[Move]:
        """Extend the child at the end of the path, and tell the nodes on it what was found."""
        parent, arm = path[-1]
        index = parent.arms[arm]
        child = self._extended(parent.after(index), float(parent.children.rewards[index]))
        parent.nodes[index] = child
        self._back_up(path, child)
        return child

    def _lay_out(self, node: Node[Move]) -> None:
        """Fit a node to the range of rewards as it is now; once seeds are in, the range seldom changes."""
        if not node.span:
            ties = self.draw.random(min(node.width, len(node.children.moves))) * _TIES
            node.unfold(self.options.cost_weight, ties.tolist())
        node.scale(self.span)

    def _child(self, node: Node[Move], arm: int) -> Node[Move] | None:
        """The child as a node, also where another way led to it first; None if it was never extended."""
        index = node.arms[arm]
        child = node.nodes.get(index)
        if child is None and self.keyed is not None:
            child = self.nodes.get(self.keyed.key(node.after(index)))
            if child is not None:
                node.nodes[index] = child
        return child

    def _extended(self, state: tuple[Move, ...], reward: float) -> Node[Move]:
        children = self.space.extend(state)
        size = len(children.moves)
        if size:
            self.calls += size
            self.batches += 1
            top = int(children.rewards.argmax())
            high, low = float(children.rewards[top]), float(children.rewards[children.rewards.argmin()])
            self.low, self.high = min(self.low, low), max(self.high, high)
            self.span = (self.high - self.low) or 1.0
            if high > self.best[1]:
                self.best = ((*state, children.moves[top]), high)
            if self.options.final == "mean":
                self._note_last(state, children)
        node = Node(state, reward, children, self.options.width or size)
        self.nodes[state if self.keyed is None else self.keyed.key(state)] = node
        return node

    def _note_last(self, state: tuple[Move, ...], children: Extension[Move]) -> None:
        """Remember the best child that has none of its own: it is never extended, its mean is its reward."""
        for index in () if children.last is None else np.flatnonzero(children.last).tolist():
            if children.rewards[index] > self.best_last[1]:
                self.best_last = ((*state, children.moves[index]), float(children.rewards[index]))

    def _back_up(self, path: Path[Move], child: Node[Move]) -> None:
        if not len(child.children.moves):
            return
        if self.options.backup == "all":
            rewards = child.kept()
            count, total = len(rewards), float(rewards.sum())
        else:
            rewards = child.children.rewards
            count, total = 1, float(rewards[rewards.argmax()])
        child.note(count, total)
        for node, arm in path:
            node.learn(arm, count, total)
