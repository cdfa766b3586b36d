"""SAGE's gradient cut: chunks by relevance, cut where the scores fall fastest."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ctxeng.chunks.pool import Floats, Pool, Selection
from ctxeng.chunks.selectors.top_k import descending, fill, valued
from ctxeng.errors import BadInput

logger = logging.getLogger(__name__)

Verdict = Literal["lacking", "enough", "excessive"]


@dataclass(frozen=True)
class GradientCut:
    """At least `minimum` chunks, then as many as stand before the largest relative drop in relevance.

    Only the first `maximum` ranks are looked at. Scores below `floor` times the best count as that much:
    near zero every step is a large relative drop, and says nothing. 0 takes the scores as they are.
    """

    minimum: int = 2
    maximum: int | None = None
    floor: float = 0.1

    def __post_init__(self) -> None:
        if self.minimum < 1:
            raise BadInput(f"gradient cut: minimum is {self.minimum}; give 1 or more")
        if self.maximum is not None and self.maximum < self.minimum:
            raise BadInput(f"gradient cut: maximum {self.maximum} is below minimum {self.minimum}")
        if not 0 <= self.floor < 1:
            raise BadInput(f"gradient cut: floor is {self.floor:g}; give a number from 0 to below 1")

    def select(self, pool: Pool, tokens: int) -> Selection:
        """The chunks above the cut that fit, best first; the reward is their summed relevance."""
        order = descending(pool.relevance)
        cut = self.cut(pool.relevance[order])
        chosen = fill(pool, order[:cut].tolist(), tokens)
        note = f"{len(chosen)} of the {cut} chunks above the cut fit" if len(chosen) < cut else ""
        return valued(pool, chosen, note)

    def cut(self, scores: Floats) -> int:
        """How many to take of these descending scores, before any budget; of equal drops the first counts.

        All of them (up to `maximum`) where no score behind the minimum drops.
        """
        count = len(scores) if self.maximum is None else min(len(scores), self.maximum)
        if count <= self.minimum:
            return count
        # the drop behind the last rank looked at counts, too: the cut may fall exactly there
        held = np.maximum(scores[self.minimum - 1 : count + 1], self.floor * scores[0])
        drops = np.divide(held[:-1] - held[1:], held[:-1], out=np.zeros(len(held) - 1), where=held[:-1] > 0)
        return self.minimum + int(np.argmax(drops)) if drops.any() else count


@dataclass(frozen=True)
class Feedback:
    """SAGE's feedback on the amount: what a judge said, round by round, and the cut to use next.

    The caller shows the judge what `cut` selects and passes its verdict to `after`, until `done`.
    """

    cut: GradientCut
    rounds: int = 3
    verdicts: tuple[Verdict, ...] = ()

    @property
    def done(self) -> bool:
        """Whether the amount was found to be enough, or the rounds are used up."""
        return len(self.verdicts) >= self.rounds or "enough" in self.verdicts

    def after(self, verdict: Verdict) -> Feedback:
        """With the minimum one up where context was lacking, one down where it was excessive.

        It stays between 1 and the cut's `maximum`. Raises BadInput where feedback is done.
        """
        if self.done:
            raise BadInput(
                f"gradient cut: feedback is done after {len(self.verdicts)} of {self.rounds} rounds"
            )
        wanted = self.cut.minimum + {"lacking": 1, "enough": 0, "excessive": -1}[verdict]
        most = wanted if self.cut.maximum is None else self.cut.maximum
        minimum = max(1, min(wanted, most))
        verdicts = (*self.verdicts, verdict)
        logger.info("gradient cut, round %d: %s, minimum %d", len(verdicts), verdict, minimum)
        return replace(self, cut=replace(self.cut, minimum=minimum), verdicts=verdicts)
