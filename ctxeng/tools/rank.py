"""Which tools fit a request: words, names and meaning together, of the whole and of its parts."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctxeng.errors import BadInput
from ctxeng.tools.catalogue import Catalogue, Scores
from ctxeng.tools.priors import Priors

Floats = NDArray[np.float32]

_SEAM = re.compile(r"(?<=[.!?;])\s+|\s+and also\s+|\balso,?\s+", re.IGNORECASE)
_SHORTEST = 3  # words of a part that can ask for a tool


@dataclass(frozen=True)
class ToolRanker:
    """Scores for all tools of a catalogue; the fields weigh what a score is the sum of.

    `words`: BM25 of everything said of a tool; `names`: of its name and server; `meaning`: cosine; each
    relative to the best tool's. A request often asks for several things, so the best of its parts
    (sentences, or sub-queries that a model wrote) counts `parts` times on top. Tools that are needed come
    from few servers, so the best score of a tool's server counts `siblings` times. `priors` and `together`
    weigh what use has taught, against the sum of the rest as 1. Weights were chosen on
    half of the ToolBench, MetaTool and BFCL questions; the other half is in docs/figures.md.
    """

    words: float = 1.0
    names: float = 1.0
    meaning: float = 2.0
    parts: float = 1.0
    siblings: float = 1.0
    priors: float = 1.0
    together: float = 0.3

    def __post_init__(self) -> None:
        for name in ("words", "names", "meaning", "parts", "siblings", "priors", "together"):
            if getattr(self, name) < 0:
                raise BadInput(f"the weight of {name} is {getattr(self, name)}, it must be at least 0")

    def scores(
        self,
        catalogue: Catalogue,
        request: str,
        parts: Sequence[str] = (),
        priors: Priors | None = None,
        called: Collection[str] = (),
    ) -> Ranked:
        """A score for every tool, 0 to 1 before priors.

        `parts` stand in for the request's own sentences where they are given. `priors` are what was learned
        from use; `called` are the tools that this session has called so far.
        """
        found = catalogue.scores([request, *(parts or split(request))])
        if not found.tools:
            return Ranked((), np.zeros(0, dtype=np.float32))
        each = self._each(found)
        total = each[0] + self.parts * each[1:].max(axis=0) if len(each) > 1 else each[0]
        if self.siblings:
            best = np.zeros(found.servers.max() + 1, dtype=np.float32)
            np.maximum.at(best, found.servers, total)
            total = total + self.siblings * best[found.servers]
        total = total / max(float(total.max()), 1e-9)
        if priors is not None and len(priors):
            asked = None if found.asked is None else found.asked[0]
            total = total + self.priors * priors.alike(request, asked, found.tools, found.matrix)
            total = total + self.together * priors.together(called, found.tools)
        return Ranked(found.tools, total)

    def _each(self, found: Scores) -> Floats:
        sides = ((self.words, found.words), (self.names, found.names), (self.meaning, found.meaning))
        total: Floats = np.zeros_like(found.words)
        for weight, scores in sides:
            if weight:
                positive = np.maximum(scores, 0)
                total += np.float32(weight) * positive / np.maximum(positive.max(axis=1, keepdims=True), 1e-9)
        return total


@dataclass(frozen=True)
class Ranked:
    """Tools and their scores (N,), in the catalogue's order."""

    tools: tuple[str, ...]
    scores: Floats

    def best(self, k: int) -> list[tuple[str, float]]:
        """The k best (name, score), best first, ties in the catalogue's order; what scores 0 is left out."""
        order = np.argsort(-self.scores, kind="stable")[:k]
        return [(self.tools[place], float(self.scores[place])) for place in order if self.scores[place] > 0]

    def plus(self, more: Floats) -> Ranked:
        """The same with something added to each score (N,)."""
        return Ranked(self.tools, self.scores + more)


def split(request: str) -> list[str]:
    """The parts of a request that may each ask for a tool of its own; none where it is one."""
    parts = [part.strip() for part in _SEAM.split(request)]
    parts = [part for part in parts if len(part.split()) >= _SHORTEST]
    return parts if len(parts) > 1 else []
