"""One score out of two: the normalised sum, or reciprocal rank fusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Fusion(Protocol):
    """A rule that makes one score of what words and what meaning say. A frozen dataclass."""

    def fuse(self, words: Floats, meaning: Floats) -> Floats:
        """(N,) scores of the N candidates, 0 for those that neither side favours."""
        ...


@dataclass(frozen=True)
class RelativeSum:
    """The sum of both scores, each relative to its best; `weight` is what meaning counts against words."""

    weight: float = 1.0

    def fuse(self, words: Floats, meaning: Floats) -> Floats:
        """Between 0 and 1 + `weight`."""
        return relative(words) + np.float32(self.weight) * relative(meaning)


@dataclass(frozen=True)
class ReciprocalRank:
    """The sum of 1 / (k + rank) over both sides (Cormack, Clarke, Buettcher 2009); k = 60 there.

    `weight` is what meaning counts against words. Equal scores have equal ranks; what a side scores 0 or
    less gets nothing from it.
    """

    k: int = 60
    weight: float = 1.0

    def fuse(self, words: Floats, meaning: Floats) -> Floats:
        """Between 0 and (1 + `weight`) / (k + 1)."""
        return self._of(words) + np.float32(self.weight) * self._of(meaning)

    def _of(self, scores: Floats) -> Floats:
        rank = 1 + np.searchsorted(np.sort(-scores), -scores)
        shares: Floats = np.where(scores > 0, 1 / (self.k + rank), 0).astype(np.float32)
        return shares


def relative(scores: Floats) -> Floats:
    """Scores relative to the best, which is 1; what points the other way counts as nothing."""
    positive = np.maximum(scores, 0)
    top = positive.max(initial=0.0)
    return positive / top if top > 0 else positive
