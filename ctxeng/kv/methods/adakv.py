"""AdaKV (Feng et al. 2024, section 4): a layer's budget goes to the heads whose scores are spread widest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ctxeng.kv.evict import Evict
from ctxeng.kv.methods.snapkv import snapkv


@dataclass(frozen=True)
class Adaptive:
    """Heads of a layer compete for its rows; each is sure of the share `floor` of an even budget."""

    floor: float = 0.2

    def split(self, budget: int, scores: Sequence[Tensor]) -> list[list[int]]:
        """Rows by layer and head; heads x budget a layer in all."""
        return [shared(budget, layer, self.floor) for layer in scores]


def shared(budget: int, scores: Tensor, floor: float) -> list[int]:
    """One layer's rows by head: those of its highest scores, taken together."""
    heads, rows = scores.shape
    total = min(budget, rows) * heads
    order = scores.flatten().argsort(descending=True, stable=True)[:total]
    won = torch.bincount(order // rows, minlength=heads).float()
    wanted = ((1 - floor) * won + floor * min(budget, rows)).tolist()
    counts = [min(rows, int(count)) for count in wanted]
    spare = sorted(range(heads), key=lambda head: counts[head] - wanted[head])
    for head in spare[: total - sum(counts)]:  # what rounding down left over
        counts[head] = min(rows, counts[head] + 1)
    return counts


def adakv(budget: float = 0.5, window: int = 32, floor: float = 0.2) -> Evict:
    """SnapKV's scores, divided so: really ragged, so that bytes fall with the rows."""
    return snapkv(budget, window, split=Adaptive(floor))
