"""StreamingLLM (Xiao et al. 2023): the first tokens, which attention sinks into, and the most recent ones."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ctxeng.kv.evict import Evict
from ctxeng.kv.policy import Evidence


@dataclass(frozen=True)
class Recency:
    """The later, the better."""

    rows: int = 0
    columns: bool = False

    def score(self, evidence: Evidence) -> Tensor:
        """Each row's number."""
        return evidence.numbers.float()


def streaming_llm(budget: float = 1024, sinks: int = 4, every: int = 64) -> Evict:
    """At most `budget` rows a head, thinned again every so many tokens: memory stays constant for ever."""
    return Evict(Recency(), budget, sinks=sinks, recent=1, every=every)
