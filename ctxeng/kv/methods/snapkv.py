"""SnapKV (Li et al. 2024, section 4): what the last queries of the prompt look at, pooled over neighbours."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ctxeng.kv.evict import Evict
from ctxeng.kv.policy import Evidence, Split


@dataclass(frozen=True)
class ObservationWindow:
    """Attention of the last `rows` queries on each row, then the largest among `kernel` neighbours."""

    rows: int = 32
    kernel: int = 7
    columns: bool = False

    def score(self, evidence: Evidence) -> Tensor:
        """Mean over queries and their group [Hkv, n], pooled."""
        seen = observed(evidence).mean((1, 2))
        return functional.max_pool1d(seen[None], self.kernel, 1, self.kernel // 2)[0][:, : seen.shape[1]]


def observed(evidence: Evidence) -> Tensor:
    """Attention weights [Hkv, G, w, n] of the last queries on all rows; none on rows behind a query."""
    keys, numbers = evidence.keys, evidence.numbers
    heads, count = len(keys), evidence.queries.shape[1]
    queries = evidence.queries.reshape(heads, -1, keys.shape[-1])
    logits = torch.matmul(queries, keys.transpose(1, 2)).float() / math.sqrt(keys.shape[-1])
    logits = logits.view(heads, -1, count, keys.shape[1])
    at = numbers.max() - count + 1 + torch.arange(count)
    hidden = (numbers[:, None] < 0) | (numbers[:, None] > at.unsqueeze(1))
    return logits.masked_fill(hidden.unsqueeze(1), -torch.inf).softmax(-1)


def snapkv(budget: float = 0.5, window: int = 32, kernel: int = 7, split: Split | None = None) -> Evict:
    """Rows by the last `window` queries; those of the window itself stay."""
    scorer = ObservationWindow(window, kernel)
    made = Evict(scorer, budget, sinks=0, recent=window)
    return made if split is None else Evict(scorer, budget, split, sinks=0, recent=window)
