"""Drafts: guesses of the next tokens that one pass checks together (Leviathan et al. 2023).

A guess counts as certain: a token drawn from the model's own distribution either equals it or replaces it.
That leaves every distribution as it was, for any drafter (their section 2.3, with a draft of one point).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from ctxeng.errors import BadInput
from ctxeng.kv.policy import Policy
from ctxeng.runtime.attention import CachedAttention, Span

if TYPE_CHECKING:
    from ctxeng.runtime.engine import Engine
    from ctxeng.runtime.run import Run


class Drafter(Protocol):
    """Guesses. It may be wrong, slow or silly: the output does not change, only how soon it comes."""

    def propose(self, engine: Engine, run: Run, most: int) -> list[int]:
        """At most `most` tokens that may come next."""
        ...


@dataclass(frozen=True)
class PromptLookup:
    """What followed the last tokens when they stood in the text before (Saxena 2023): no second model.

    The longest of `longest` down to `shortest` tokens that was seen before counts, at its last place.
    """

    count: int = 8
    longest: int = 4
    shortest: int = 2

    def propose(self, engine: Engine, run: Run, most: int) -> list[int]:
        """A copy of what followed."""
        del engine
        ids = run.ids
        for size in range(min(self.longest, len(ids) - 1), self.shortest - 1, -1):
            ending = ids[-size:]
            for start in range(len(ids) - size - 1, -1, -1):
                if ids[start : start + size] == ending:
                    return ids[start + size : start + size + min(self.count, most)]
        return []


@dataclass(frozen=True)
class SelectedCache:
    """The model itself, reading only what a selecting policy chooses (TriForce, Sun et al. 2024, 4.1).

    Raises BadInput for a policy that gives rows up.
    """

    policy: Policy
    count: int = 4

    def __post_init__(self) -> None:
        if self.policy.destroys:
            raise BadInput("a drafter selects from the cache and must not thin it: name a selecting policy")

    def propose(self, engine: Engine, run: Run, most: int) -> list[int]:
        """Greedy tokens over the selected rows; what it wrote is overwritten by the pass that checks."""
        tail = run.sequence.tail
        assert tail is not None
        watcher = run.drafting or self.policy.watch(engine.pools.shape)
        run.drafting = watcher
        length, found, token = tail.length, list[int](), run.ids[-1]
        try:
            for _ in range(min(self.count, most)):
                attention = CachedAttention(
                    engine.decoder.config, [Span(run.sequence, 0, 1, run.rotation, watcher)]
                )
                hidden = engine.decoder.hidden(torch.tensor([token]), attention)
                token = int(engine.decoder.logits(hidden)[0].argmax())
                found.append(token)
                tail.length += 1
        finally:
            tail.length = length
        return found
