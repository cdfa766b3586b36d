"""Paths of clarifications, what a search for them found, and the preference pairs it leaves for training."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ctxeng.chunks.iterate.base import Trace
from ctxeng.search.node import Node
from ctxeng.turn import Value


class Clarification(Value):
    """One move: a question the model asks itself, the ids of the chunks it points at, and the answer."""

    question: str
    chunks: tuple[str, ...]
    answer: str


Path = tuple[Clarification, ...]


class Pair(Value):
    """Two paths that differ in their last step; the chosen one was rated higher. One line of a DPO set."""

    question: str
    chosen: Path
    rejected: Path


@dataclass(frozen=True)
class ClarifyTrace(Trace):
    """`evidence` has, for each node expanded, the ids pointed at there for the first time."""

    path: Path = ()
    rating: float = 0.0
    evidence: tuple[tuple[str, ...], ...] = ()
    pairs: tuple[Pair, ...] = ()

    def recall(self, gold: Collection[str]) -> list[float]:
        """The share of these ids that had been pointed at after 1, 2, 3 ... nodes were expanded."""
        found: set[str] = set()
        shares = []
        for ids in self.evidence:
            found |= set(ids) & set(gold)
            shares.append(len(found) / len(set(gold)) if gold else 1.0)
        return shares

    def pairs_jsonl(self) -> str:
        """The preference pairs as JSON lines."""
        return "".join(f"{pair.model_dump_json()}\n" for pair in self.pairs)


def pairs(question: str, path: Path, root: Node[Clarification]) -> list[Pair]:
    """The steps of a path, each with its siblings that were rated lower."""
    found: list[Pair] = []
    node: Node[Clarification] | None = root
    for place, move in enumerate(path):
        if node is None:
            break
        rated = dict(zip(node.children.moves, node.children.rewards.tolist(), strict=True))
        chosen = path[: place + 1]
        found += [
            Pair(question=question, chosen=chosen, rejected=(*path[:place], other))
            for other, rating in rated.items()
            if rating < rated[move]
        ]
        node = node.nodes.get(list(node.children.moves).index(move))
    return found
