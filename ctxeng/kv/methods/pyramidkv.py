"""PyramidKV (Cai et al. 2024, section 4.1): lower layers look widely and get more rows, higher ones fewer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ctxeng.kv.evict import Evict
from ctxeng.kv.methods.snapkv import snapkv


@dataclass(frozen=True)
class Pyramid:
    """Budgets that fall evenly from the first layer to the last, which gets 1 / `steepness` of the mean."""

    steepness: float = 20.0

    def split(self, budget: int, scores: Sequence[Tensor]) -> list[list[int]]:
        """Rows by layer, alike for its heads; the mean over layers is at most `budget`."""
        layers, rows = len(scores), scores[0].shape[1]
        least = max(budget / self.steepness, 2 * budget - rows)  # no layer can keep more than there is
        step = 2 * (budget - least) / (layers - 1) if layers > 1 else 0.0
        counts = [int(2 * budget - least - step * layer) if layers > 1 else budget for layer in range(layers)]
        return [[min(rows, count)] * len(s) for count, s in zip(counts, scores, strict=True)]


def pyramidkv(budget: float = 0.5, window: int = 32, steepness: float = 20.0) -> Evict:
    """SnapKV's scores, divided so."""
    return snapkv(budget, window, split=Pyramid(steepness))
