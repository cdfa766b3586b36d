"""Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): relevant, and unlike what is chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctxeng.chunks.pool import Pool, Selection
from ctxeng.chunks.selectors.top_k import TopK, valued
from ctxeng.errors import BadInput


@dataclass(frozen=True)
class Mmr:
    """At each step the chunk with the highest `balance` * relevance - (1 - `balance`) * redundancy.

    Redundancy is the highest cosine with a chosen chunk. A pool without vectors is chosen from by relevance
    alone, and the selection's note says so: an index without an embedder is no mistake of the question's.
    """

    balance: float = 0.7

    def __post_init__(self) -> None:
        if not 0 <= self.balance <= 1:
            raise BadInput(f"MMR: balance is {self.balance:g}; give a number between 0 and 1")

    def select(self, pool: Pool, tokens: int) -> Selection:
        """Chunks until nothing fits, in the order of choice; the reward is their summed relevance."""
        if pool.vectors is None:
            plain = TopK().select(pool, tokens)
            return valued(pool, plain.chosen, "the pool has no vectors: chosen by relevance alone")
        chosen: list[int] = []
        gain = self.balance * pool.relevance
        redundancy = np.zeros(len(pool))
        free = np.ones(len(pool), dtype=bool)
        left, added = tokens, pool.added(())
        while (fits := np.flatnonzero(free & (added <= left))).size:
            value = gain[fits] - (1 - self.balance) * redundancy[fits]
            place = int(fits[np.argmax(value)])
            cosine = pool.vectors @ pool.vectors[place]
            redundancy = np.maximum(redundancy, cosine) if chosen else cosine
            left -= int(added[place])
            free[place] = False
            chosen.append(place)
            added = pool.added(chosen)
        return valued(pool, tuple(chosen))
