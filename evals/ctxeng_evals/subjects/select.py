"""Selecting items for a case under a token budget: the plain baselines, and ctxeng's hybrid retrieval."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ctxeng.retrieval.embed import Embedder
from ctxeng.retrieval.hybrid import Hybrid
from ctxeng.retrieval.lexical import Lexical
from ctxeng.tokens import Counter
from ctxeng_evals.case import Case, Dataset, Item, Outcome, Piece, Solver

Method = Literal["bm25", "dense", "hybrid", "recency", "first", "full", "random", "oracle"]
METHODS: Mapping[str, str] = {
    "bm25": "by words",
    "dense": "by meaning",
    "hybrid": "by both, as ctxeng's retrieval does",
    "recency": "the last ones first",
    "first": "in reading order",
    "full": "in reading order; everything, where there is no budget",
    "random": "a seeded draw",
    "oracle": "the gold first: the ceiling at a budget",
}
Scores = Callable[[Case], NDArray[np.float32]]


@dataclass(frozen=True)
class Select:
    """Takes items in the order of their scores, skipping what no longer fits.

    `budget` is in tokens as `counter` counts them, `count` in items; without either, everything is taken.
    Scores are divided by tokens ** `per_cost`, which helps where lengths differ by ten times and more.
    `titles` puts an item's title before its text for searching; with `titles_cost` it costs its tokens, once
    for each source. oracle takes the gold first: a ceiling.
    """

    method: Method
    counter: Counter
    budget: int | None = None
    count: int | None = None
    per_cost: float = 0.0
    titles: bool = True
    titles_cost: bool = False
    seed: int = 0
    encoder: Embedder = Embedder()
    sequential: bool = False

    def open(self, dataset: Dataset) -> Solver:
        """A solver; indexes of shared pools are built once, here."""
        ranker = _Ranker(self, dataset)

        def solve(case: Case) -> Outcome:
            items = dataset.items(case)
            return self.filled(items, ranker.order(case, items))

        return solve

    def filled(self, items: Sequence[Item], order: Sequence[int]) -> Outcome:
        """The window of those items that fit, in this order."""
        left = self.budget if self.budget is not None else None
        chosen: list[Piece] = []
        titled: set[tuple[str, str]] = set()
        for place in order:
            if self.count is not None and len(chosen) >= self.count:
                break
            item = items[place]
            tokens = self.cost(item)
            frame = (item.source, item.title)
            if self.titles_cost and item.title and frame not in titled:
                tokens += self.counter.count(item.title) + 1
            if left is not None:
                if tokens > left:
                    continue
                left -= tokens
            titled.add(frame)
            chosen.append(Piece(source=self.method, kind=item.kind, ref=item.id, tokens=tokens))
        return Outcome(selected=tuple(piece.ref for piece in chosen), window=tuple(chosen))

    def cost(self, item: Item) -> int:
        """Tokens of the item, with the line break behind it."""
        return self.counter.count(item.body) + 1


class _Ranker:
    """Orders a case's items; where all of them are the pool's, the pool's index is built once."""

    def __init__(self, given: Select, dataset: Dataset) -> None:
        self.given = given
        self.dataset = dataset
        self.pool = lru_cache(maxsize=64)(lambda name: self._scorer(dataset.pools[name]))
        self.costs = lru_cache(maxsize=64)(lambda name: self._discount(dataset.pools[name]))

    def order(self, case: Case, items: Sequence[Item]) -> Sequence[int]:
        """The places of the items, best first, ties in reading order."""
        match self.given.method:
            case "first" | "full":
                return range(len(items))
            case "recency":
                return range(len(items) - 1, -1, -1)
            case "random":
                order = list(range(len(items)))
                digest = hashlib.sha256(f"{self.given.seed}\0{case.id}".encode()).digest()
                random.Random(digest).shuffle(order)  # noqa: S311 - a seeded baseline
                return order
            case "oracle":
                rank = {name: place for place, name in enumerate(case.gold)}
                return sorted(range(len(items)), key=lambda i: (rank.get(items[i].id, len(rank)), i))
            case _:
                shared = bool(case.pool) and not case.items
                scorer = self.pool(case.pool) if shared else self._scorer(items)
                scores = scorer(case)
                if self.given.per_cost:
                    scores = scores * (self.costs(case.pool) if shared else self._discount(items))
                return [int(place) for place in np.argsort(-scores, kind="stable")]

    def _discount(self, items: Sequence[Item]) -> NDArray[np.float32]:
        costs = np.array([self.given.cost(item) for item in items], dtype=np.float32)
        return costs ** np.float32(-self.given.per_cost)

    def _scorer(self, items: Sequence[Item]) -> Scores:
        texts = [f"{i.title}\n{i.text}" if self.given.titles and i.title else i.text for i in items]
        if self.given.method == "bm25":
            lexical = Lexical(texts)
            return lambda case: lexical.scores(case.question)
        encoder = self.given.encoder
        if self.given.method == "dense":
            vectors = encoder.embed(texts)
            return lambda case: vectors @ encoder.embed([case.question])[0]
        hybrid = Hybrid(texts, encoder)
        return lambda case: hybrid.scores(case.question)
