"""Which nodes each edge joins (two, or more), as flat arrays; and shortest ways between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ctxeng.errors import BadInput

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Ways:
    """How far everything is from where a search began: (N,) and (E,), an edge's own length included."""

    nodes: Floats
    edges: Floats

    def to(self, edge: int | None, node: int) -> float:
        """How far the edge is or, without one, the node."""
        return float(self.nodes[node] if edge is None else self.edges[edge])


@dataclass(frozen=True)
class Joints:
    """N nodes and E edges; `ends` has the nodes of each edge, one or more, each once.

    Raises BadInput for an edge of no node and for a node that is not there.
    """

    nodes: int
    ends: Sequence[Sequence[int]]
    around: tuple[tuple[int, ...], ...] = field(init=False, repr=False, compare=False)  # (N) its edges
    _members: Places = field(init=False, repr=False, compare=False)  # nodes, edge by edge
    _begins: Places = field(init=False, repr=False, compare=False)  # (E,) where each edge's begin
    _touching: Places = field(init=False, repr=False, compare=False)  # edges, node by node
    _first: Places = field(init=False, repr=False, compare=False)  # where each joined node's begin
    _joined: Places = field(init=False, repr=False, compare=False)  # nodes that have an edge

    def __post_init__(self) -> None:
        around: list[list[int]] = [[] for _ in range(self.nodes)]
        for edge, nodes in enumerate(self.ends):
            if not nodes or not all(0 <= node < self.nodes for node in nodes):
                raise BadInput(f"edge {edge} joins {list(nodes)}; the graph has nodes 0 to {self.nodes - 1}")
            for node in nodes:
                around[node].append(edge)
        object.__setattr__(self, "around", tuple(map(tuple, around)))
        self._flatten("_members", "_begins", self.ends)
        self._flatten("_touching", "_first", [edges for edges in around if edges])
        joined = np.flatnonzero([len(edges) > 0 for edges in around])
        object.__setattr__(self, "_joined", joined)

    def sums(self, of_nodes: Floats) -> Floats:
        """(E,): of each edge's nodes together."""
        total: Floats = np.add.reduceat(of_nodes[self._members], self._begins)
        return total

    def ways(self, starts: Iterable[int], lengths: Floats, reach: float) -> Ways:
        """Shortest ways from these nodes to all that lies within `reach`; the rest is infinitely far.

        `lengths` is (E,), all above 0. All edges are looked at together, once for each step that the
        farthest node is away (Bellman-Ford).
        """
        nodes = np.full(self.nodes, np.inf)
        nodes[list(starts)] = 0.0
        edges = np.full(len(self.ends), np.inf)
        while len(self.ends):
            edges = np.minimum.reduceat(nodes[self._members], self._begins) + lengths
            nearer = np.minimum.reduceat(edges[self._touching], self._first)
            nearer[nearer > reach] = np.inf
            before = nodes[self._joined]
            if not (nearer < before).any():
                break
            nodes[self._joined] = np.minimum(nearer, before)
        return Ways(nodes, edges)

    def way_back(self, ways: Ways, edge: int | None, node: int) -> list[int]:
        """The edges from the node, or from the edge if there is one, to where the search began."""
        path: list[int] = []
        if edge is not None:
            path.append(edge)
            node = self._nearest(ways, edge)
        while ways.nodes[node] > 0:
            around = self.around[node]
            path.append(around[int(np.argmin(ways.edges[list(around)]))])
            node = self._nearest(ways, path[-1])
        return path

    def _nearest(self, ways: Ways, edge: int) -> int:
        ends = self.ends[edge]
        return ends[int(np.argmin(ways.nodes[list(ends)]))]

    def _flatten(self, items: str, starts: str, rows: Sequence[Sequence[int]]) -> None:
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        flat = [item for row in rows for item in row]
        object.__setattr__(self, items, np.array(flat, dtype=np.int64))
        object.__setattr__(self, starts, np.cumsum(lengths) - lengths)
