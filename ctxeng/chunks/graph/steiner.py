"""Prize-collecting Steiner tree: the connected part of a graph whose prizes exceed its costs by most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ctxeng.chunks.graph.joints import Floats, Joints
from ctxeng.errors import BadInput

_TIE = 1e-9  # length of an edge that costs nothing: of equal ways, the one of fewer edges
_STARTS = 3  # prizes, the highest first, from which a tree is begun
_ROUNDS = 8


@dataclass(frozen=True)
class Tree:
    """Chosen edges, ascending, and their nodes; `value` is all their prizes less the edges' costs."""

    edges: tuple[int, ...] = ()
    nodes: tuple[int, ...] = ()
    value: float = 0.0


def steiner_tree(joints: Joints, node_prizes: Floats, edge_prizes: Floats, cost: float) -> Tree:
    """A connected set of one edge or more, as valuable as is found; empty where there are no edges.

    `node_prizes` is (N,) and `edge_prizes` (E,), none negative; every edge costs `cost`. A node's prize is
    had once, by any edge that joins it. As an edge is priced as a whole (prize less cost) and may join more
    than two nodes, it plays the part of G-Retriever's virtual node for edges whose prize exceeds their cost
    (He et al. 2024, arXiv:2402.07630, section 5.3); so no edge has to be split.

    Found in three steps: prizes are joined by shortest ways, the nearest first, whether it pays or not; the
    best subtree of that is kept (strong pruning, exact on a tree by dynamic programming); prizes outside it
    are joined where that pays, and pruned again. Begun from each of the three highest prizes; the best wins.
    On 660 random graphs of up to 12 nodes it had .999 of the optimum on average, .84 at worst.
    """
    if cost <= 0 or (node_prizes < 0).any() or (edge_prizes < 0).any():
        raise BadInput(f"prizes may not be negative and the cost {cost} must be above 0")
    if not joints.ends:
        return Tree()
    search = _Search(joints, node_prizes, edge_prizes - cost)
    first = search.best_edge()
    found = [search.improved(search.pruned(search.joined(start))) for start in search.prized[:_STARTS]]
    return max([search.improved(first), *found], key=lambda tree: (bool(tree.edges), tree.value))


@dataclass(frozen=True)
class _Prize:
    """A node or an edge that is worth going to: (the edge, any node of it) or (None, the node)."""

    edge: int | None
    node: int
    value: float


@dataclass(frozen=True)
class _Step:
    """A node or an edge of a tree that is walked; `parent` is the step on which it hangs."""

    place: int
    parent: int
    is_edge: bool


class _Search:
    """One graph with its prizes; `gains` is an edge's prize less its cost."""

    def __init__(self, joints: Joints, prizes: Floats, gains: Floats) -> None:
        self.joints, self.prizes, self.gains = joints, prizes, gains
        self.lengths = np.maximum(-gains, 0.0) + _TIE
        self.reach = float(prizes.sum() + np.maximum(gains, 0).sum()) + _TIE  # no longer way can pay
        found = [_Prize(None, node, float(prizes[node])) for node in np.flatnonzero(prizes > 0).tolist()]
        found += [
            _Prize(edge, joints.ends[edge][0], float(gains[edge]))
            for edge in np.flatnonzero(gains > 0).tolist()
        ]
        self.prized = sorted((p for p in found if joints.around[p.node]), key=lambda prize: -prize.value)

    def best_edge(self) -> Tree:
        """The most valuable single edge."""
        return self.tree({int(np.argmax(self.gains + self.joints.sums(self.prizes)))})

    def joined(self, start: _Prize) -> Tree:
        """Edges that join all prizes within reach of this one, whether it pays or not."""
        edges = set() if start.edge is None else {start.edge}
        nodes = {start.node, *(node for edge in edges for node in self.joints.ends[edge])}
        while path := self._nearest(edges, nodes):
            edges.update(path)
            nodes.update(node for edge in path for node in self.joints.ends[edge])
        return self.tree(edges)

    def improved(self, tree: Tree) -> Tree:
        """The tree with further prizes, one by one where one is worth its way, and pruned again."""
        for _ in range(_ROUNDS):
            edges = set(tree.edges)
            while path := self._paying(edges):
                edges.update(path)
            more = self.pruned(self.tree(edges))
            if more.value <= tree.value + _TIE:
                break
            tree = more
        return tree

    def tree(self, edges: set[int]) -> Tree:
        """These edges as a tree."""
        nodes = sorted({node for edge in edges for node in self.joints.ends[edge]})
        value = float(self.gains[sorted(edges)].sum() + self.prizes[nodes].sum())
        return Tree(tuple(sorted(edges)), tuple(nodes), value)

    def pruned(self, tree: Tree) -> Tree:
        """The best connected part of it, of one edge or more (strong pruning)."""
        if not tree.edges:
            return tree
        steps = list(self._walk(tree))
        below = [0.0] * len(steps)  # the best that is had with each step and what hangs on it
        hangs: list[list[int]] = [[] for _ in steps]
        for place in reversed(range(len(steps))):
            step = steps[place]
            own = self.gains[step.place] if step.is_edge else self.prizes[step.place]
            below[place] = float(own) + sum(max(0.0, below[child]) for child in hangs[place])
            if place:
                hangs[step.parent].append(place)
        tops = [place for place, step in enumerate(steps) if not step.is_edge and hangs[place]]
        # a top has one edge at least, the best of bad ones if need be
        lacking = {place: min(0.0, max(below[child] for child in hangs[place])) for place in tops}
        top = max(tops, key=lambda place: below[place] + lacking[place])
        kept, stack = set[int](), [max(hangs[top], key=below.__getitem__)]
        stack += [child for child in hangs[top] if below[child] > 0]
        while stack:
            place = stack.pop()
            if steps[place].is_edge:
                kept.add(steps[place].place)
            stack += [child for child in hangs[place] if below[child] > 0 or steps[place].is_edge]
        return self.tree(kept)

    def _walk(self, tree: Tree) -> Iterator[_Step]:
        """Its nodes and edges in turn, each once and behind what it hangs on."""
        left, seen = set(tree.edges), {tree.nodes[0]}
        level = [_Step(tree.nodes[0], -1, is_edge=False)]
        count = 0
        while level:
            yield from level
            further: list[_Step] = []
            for parent, step in enumerate(level, count):
                if step.is_edge:
                    new = [node for node in self.joints.ends[step.place] if node not in seen]
                    seen.update(new)
                else:
                    new = [edge for edge in self.joints.around[step.place] if edge in left]
                    left.difference_update(new)
                further += [_Step(each, parent, is_edge=not step.is_edge) for each in new]
            count += len(level)
            level = further

    def _nearest(self, edges: set[int], nodes: set[int]) -> list[int]:
        """The way to the nearest prize that is not joined yet; empty where none is within reach."""
        ways = self.joints.ways(nodes, self.lengths, self.reach)
        far = [(ways.to(prize.edge, prize.node), prize) for prize in self._outside(edges, nodes)]
        distance, prize = min(far, key=lambda each: each[0], default=(np.inf, None))
        if prize is None or distance == np.inf:
            return []
        return self.joints.way_back(ways, prize.edge, prize.node)

    def _paying(self, edges: set[int]) -> list[int]:
        """The way to a prize whose gain is the highest; empty where none gains."""
        before = self.tree(edges)
        nodes = set(before.nodes)
        ways = self.joints.ways(nodes, self.lengths, self.reach)
        best: tuple[float, list[int]] = (_TIE, [])
        for prize in self._outside(edges, nodes):
            if ways.to(prize.edge, prize.node) < np.inf:
                path = self.joints.way_back(ways, prize.edge, prize.node)
                gain = self.tree(edges.union(path)).value - before.value
                best = max(best, (gain, path), key=lambda each: each[0])
        return best[1]

    def _outside(self, edges: set[int], nodes: set[int]) -> list[_Prize]:
        return [
            prize
            for prize in self.prized
            if (prize.node not in nodes if prize.edge is None else prize.edge not in edges)
        ]
