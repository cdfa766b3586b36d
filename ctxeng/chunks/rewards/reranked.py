"""What a black box makes of a set's text: a cross-encoder, or a model's judgement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ctxeng.chunks.pool import Chosen, Floats, Pool
from ctxeng.errors import BadInput

Score = Callable[[str, Sequence[str]], Sequence[float]]  # a query and texts; higher is better, 0 is nothing


@dataclass(frozen=True)
class Reranked:
    """The score of the set's text in its order, as CORAG rewards sets; the empty set is worth 0.

    `score` is called once for each batch. Its scale must have its zero where a text is worth nothing: with
    logits, most sets would be worth less than none (see `cross_encoder`).
    """

    score: Score

    def on(self, pool: Pool) -> RerankedWorth:
        """The rule applied to this pool; its scores are remembered as long as the worth is."""
        return RerankedWorth(self.score, pool)


@dataclass(frozen=True, eq=False)
class RerankedWorth:
    """Scores of sets of one pool, remembered by their places in order."""

    score: Score
    pool: Pool
    ordered: bool = True
    known: dict[Chosen, float] = field(default_factory=dict)

    def of(self, chosen: Sequence[int]) -> float:
        """The worth of this set. Raises BadInput where `score` returns no finite number."""
        key = tuple(int(place) for place in chosen)
        self._score([key])
        return self.known[key]

    def extend(self, chosen: Sequence[int]) -> Floats:
        """(N,): the worth with each chunk added at the end, from one call; -inf for chosen ones."""
        head, worth = tuple(int(place) for place in chosen), np.full(len(self.pool), -np.inf)
        rest = [place for place in range(len(self.pool)) if place not in head]
        self._score([(*head, place) for place in rest])
        for place in rest:
            worth[place] = self.known[(*head, place)]
        return worth

    def _score(self, sets: Sequence[Chosen]) -> None:
        self.known.setdefault((), 0.0)
        fresh = [chosen for chosen in sets if chosen not in self.known]
        if not fresh:
            return
        scores = [float(score) for score in self.score(self.pool.query, [self.text(one) for one in fresh])]
        if len(scores) != len(fresh) or not np.isfinite(scores).all():
            raise BadInput(f"a reranker must return one finite number a text: {len(fresh)} texts, {scores}")
        self.known.update(zip(fresh, scores, strict=True))

    def text(self, chosen: Sequence[int]) -> str:
        """The set as the scorer reads it: a title where it changes, then the text."""
        parts, title = [], ""
        for place in chosen:
            chunk = self.pool.chunks[place]
            parts.append(f"{chunk.title}\n{chunk.text}" if chunk.title not in {"", title} else chunk.text)
            title = chunk.title
        return "\n\n".join(parts)
