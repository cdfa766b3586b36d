"""CONFLARE's conformal threshold: all chunks above a cut-off that keeps all gold 1 - alpha of the time."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from ctxeng.chunks.pool import Floats, Pool, Selection
from ctxeng.chunks.selectors.top_k import descending, fill, valued
from ctxeng.errors import BadInput, UnknownName
from ctxeng.message import Value
from ctxeng.storage.atomic import write_atomic

RELEVANCE = "relevance"


class Calibration(Value):
    """A cut-off and what it holds for. `threshold` None lets everything pass: there were too few questions.

    `score` is "relevance" or a name of the pool's details. `corpus` and `encoder` are fingerprints.
    """

    threshold: float | None = Field(allow_inf_nan=False)
    alpha: float = Field(gt=0, lt=1)
    n: int = Field(ge=0)
    corpus: str
    encoder: str
    score: str = RELEVANCE

    @property
    def needed(self) -> int:
        """The fewest questions for which there is a threshold at this alpha: 19 at .05."""
        return math.ceil(1 / self.alpha - 1e-9) - 1

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        write_atomic(path, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Read what `save` wrote. Raises BadInput for anything else."""
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, ValidationError) as error:
            raise BadInput(f"{path}: no calibration ({error}); calibrate again") from error


def calibrate(
    scores_of_gold: Sequence[float], alpha: float, corpus: str, encoder: str, score: str = RELEVANCE
) -> Calibration:
    """The cut-off at or above which the gold score of a further question lies with probability 1 - alpha.

    One score a question: the lowest of its gold chunks', so that passing means that all of them pass; minus
    infinity where one is not among the candidates. The cut-off is the floor((n + 1) * alpha)-th lowest (the
    finite-sample correction); equal scores all pass, which only adds to coverage. It holds if questions come
    in no particular order and all scores were made by one rule. Raises BadInput for scores that are no
    numbers, an alpha that is none, and where more than alpha of the questions lack a gold candidate.
    """
    if not 0 < alpha < 1:
        raise BadInput(f"calibration: alpha is {alpha:g}; give a number between 0 and 1, such as 0.1")
    ordered = sorted(float(each) for each in scores_of_gold)
    if any(math.isnan(each) or each == math.inf for each in ordered):
        raise BadInput("calibration: a gold score is no number")
    rank = math.floor((len(ordered) + 1) * alpha + 1e-9)  # 100 * .29 is a hair below 29
    threshold = ordered[rank - 1] if rank else None
    if threshold == -math.inf:
        raise BadInput(
            f"calibration: more than {alpha:g} of the {len(ordered)} questions have gold outside their "
            "candidates, which no threshold can mend; retrieve more candidates or allow a larger alpha"
        )
    return Calibration(
        threshold=threshold, alpha=alpha, n=len(ordered), corpus=corpus, encoder=encoder, score=score
    )


def fingerprint(texts: Iterable[str]) -> str:
    """A corpus by its texts, whatever their order."""
    parts = sorted(hashlib.sha256(text.encode()).digest() for text in texts)
    return hashlib.sha256(b"".join(parts)).hexdigest()[:32]


@dataclass(frozen=True)
class Conformal:
    """Every chunk whose score reaches the calibrated threshold.

    `corpus` and `encoder` are the fingerprints of what is searched now; a calibration made for others is
    stale and refused with BadInput.
    """

    calibration: Calibration
    corpus: str
    encoder: str

    def __post_init__(self) -> None:
        for name in ("corpus", "encoder"):
            then, now = getattr(self.calibration, name), getattr(self, name)
            if then != now:
                raise BadInput(
                    f"stale calibration: it was made for {name} {then!r}, this is {now!r}; calibrate again"
                )

    def select(self, pool: Pool, tokens: int) -> Selection:
        """What passes, best first; the best within the budget, with a note, where not all of it fits.

        Nothing, with a note, where nothing passes. The reward is the summed relevance. Raises UnknownName
        where the pool lacks the calibrated score.
        """
        scores = self._scores(pool)
        threshold = self.calibration.threshold
        order = descending(scores)
        passing = order if threshold is None else order[scores[order] >= threshold]
        chosen = fill(pool, passing.tolist(), tokens)
        return valued(pool, chosen, self._note(pool, passing.tolist(), len(chosen), tokens))

    def _scores(self, pool: Pool) -> Floats:
        name = self.calibration.score
        known = {**pool.details, RELEVANCE: pool.relevance}
        if name not in known:
            raise UnknownName("score", name, list(known))
        return known[name]

    def _note(self, pool: Pool, passing: list[int], fitting: int, tokens: int) -> str:
        made = self.calibration
        if not passing:
            return "abstained: no chunk reaches the threshold" if len(pool) else "abstained: no candidates"
        notes = []
        if made.threshold is None:
            notes.append(
                f"everything passes: {made.n} calibration questions are too few for alpha {made.alpha:g}, "
                f"which needs {made.needed}"
            )
        if fitting < len(passing):
            notes.append(
                f"the guarantee is void for this question: the {len(passing)} chunks that pass cost "
                f"{pool.price(passing)} tokens of {tokens}, the best {fitting} were taken"
            )
        return "; ".join(notes)
