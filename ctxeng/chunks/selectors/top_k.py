"""Top-k: the most relevant chunks, one after another, as far as they fit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctxeng.chunks.pool import Chosen, Floats, Pool, Selection
from ctxeng.errors import BadInput


@dataclass(frozen=True)
class TopK:
    """Chunks by relevance, what no longer fits is skipped; at most `count`, None for as many as fit.

    Relevance is divided by tokens ** `exponent`, where tokens are the chunk's and its frame's: 0 ranks by
    relevance alone, 1 by relevance a token.
    """

    count: int | None = None
    exponent: float = 0.0

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 0:
            raise BadInput(f"top-k: count is {self.count}; give 0 or more, or None for as many as fit")

    def select(self, pool: Pool, tokens: int) -> Selection:
        """The chunks, best first; the reward is their summed relevance."""
        alone = np.maximum(pool.added(()), 1)
        order = descending(pool.relevance / alone**self.exponent)
        return valued(pool, fill(pool, order.tolist(), tokens, self.count))


def descending(scores: Floats) -> NDArray[np.int64]:
    """Places from the highest score to the lowest, ties by place."""
    order: NDArray[np.int64] = np.argsort(-scores, kind="stable")
    return order


def fill(pool: Pool, order: Iterable[int], tokens: int, count: int | None = None) -> Chosen:
    """Those chunks, in this order, that fit one after another, at most `count`; what does not is skipped."""
    chosen: list[int] = []
    left, added = tokens, pool.added(())
    for place in order:
        if count is not None and len(chosen) >= count:
            break
        if added[place] <= left:
            left -= int(added[place])
            chosen.append(place)
            added = pool.added(chosen)  # the chunk's frame is open now
    return tuple(chosen)


def valued(pool: Pool, chosen: Chosen, note: str = "") -> Selection:
    """A selection whose reward is the summed relevance: what selectors without a reward report."""
    return Selection(chosen, reward=float(pool.relevance[list(chosen)].sum()), note=note)
