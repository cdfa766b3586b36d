"""Retrieval as a Steiner tree: prizes for what is most alike the question, one connected part of a graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctxeng.chunks.graph.cut import Price, cut, grown
from ctxeng.chunks.graph.index import Asked, Floats, GraphIndex
from ctxeng.chunks.graph.joints import Floats as Prizes
from ctxeng.chunks.graph.joints import Joints
from ctxeng.chunks.graph.steiner import Tree, steiner_tree
from ctxeng.errors import BadInput
from ctxeng.retrieval.lexical import best

_BELOW = 0.995  # of the highest prize: the most that an edge may cost, so that one is chosen


@dataclass(frozen=True)
class Steiner:
    """G-Retriever's retrieval (He et al. 2024, arXiv:2402.07630, section 5.3), without its soft prompt.

    The `nodes` entities most alike the question get the prizes `nodes`, `nodes` - 1, ..., the `edges` most
    alike statements likewise; a statement costs `cost`, or less, so that one at least is chosen. The paper's
    values are the defaults (5 edges on one of its data sets). Of equals the first has the higher prize.

    With `through_question` the question is a statement too, without text or cost: it joins the entities that
    it names. Otherwise one tree could not hold both sides of a comparison. The tree is a few statements
    whatever the budget is; with `fill` it then grows by what it touches (`cut.grown`). Both are ours; the
    paper's retrieval is without either.
    """

    nodes: int = 3
    edges: int = 3
    cost: float = 0.5
    through_question: bool = True
    fill: bool = False

    def __post_init__(self) -> None:
        if self.nodes < 0 or self.edges < 1:
            raise BadInput(
                f"steiner: nodes is {self.nodes}, edges is {self.edges}; give 0 and 1 or more of them"
            )
        if self.cost <= 0:
            raise BadInput(f"steiner: cost is {self.cost}; give more than 0")

    def tree(self, asked: Asked, joints: Joints) -> Tree:
        """The best tree; its edges are statements, and what `joints` has behind them costs nothing."""
        nodes, edges = _ranked(asked.entities, self.nodes), _ranked(asked.statements, self.edges)
        cost = min(self.cost, _BELOW * float(edges.max(initial=0.0)))
        if cost <= 0:
            return Tree()
        free = np.full(len(joints.ends) - len(edges), cost)
        return steiner_tree(joints, nodes, np.concatenate([edges, free]), cost)

    def select(self, index: GraphIndex, asked: Asked, price: Price, tokens: int) -> tuple[int, ...]:
        """The tree's statements, cut to the budget and connected still, most alike the question first."""
        if self.through_question and len(asked.named) > 1:
            joints = Joints(index.joints.nodes, (*index.joints.ends, asked.named))
            # alone, the question says nothing
            return self._within(joints, asked, price, tokens) or self._within(
                index.joints, asked, price, tokens
            )
        return self._within(index.joints, asked, price, tokens)

    def _within(self, joints: Joints, asked: Asked, price: Price, tokens: int) -> tuple[int, ...]:
        count = len(asked.statements)
        tree = self.tree(asked, joints)
        worth = {place: float(asked.statements[place]) for place in tree.edges if place < count}
        worth |= {place: np.inf for place in tree.edges if place >= count}  # the question is not cut off

        def cost(place: int) -> int:
            return price(place) if place < count else 0

        kept = cut(tree.edges, joints.ends, worth, cost, tokens)
        if self.fill:
            kept = grown(kept, joints, asked.statements, cost, tokens)
        said = [place for place in kept if place < count]
        return tuple(sorted(said, key=lambda place: (-asked.statements[place], place)))


def _ranked(scores: Floats, count: int) -> Prizes:
    """count, count - 1, ... for the highest scores, 0 for the rest."""
    prizes = np.zeros(len(scores))
    for rank, (place, _) in enumerate(best(scores, count)):
        prizes[place] = count - rank
    return prizes
