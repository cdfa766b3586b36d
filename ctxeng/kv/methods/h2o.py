"""H2O (Zhang et al. 2023): heavy hitters, the rows that got most attention from all queries so far."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ctxeng.kv.evict import Evict
from ctxeng.kv.policy import Evidence


@dataclass(frozen=True)
class HeavyHitters:
    """Attention summed over all queries of a prompt: a stored prefix, whose queries are gone, won't do."""

    rows: int = 0
    columns: bool = True

    def score(self, evidence: Evidence) -> Tensor:
        """The sums [Hkv, n]."""
        assert evidence.columns is not None
        return evidence.columns


def h2o(budget: float = 0.5, recent: int = 64, every: int = 0) -> Evict:
    """Heavy hitters within `budget`, beside the last `recent` rows."""
    return Evict(HeavyHitters(), budget, sinks=0, recent=recent, every=every)
