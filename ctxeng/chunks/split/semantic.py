"""Splitting where the subject changes: where neighbouring sentences are less alike than elsewhere (SAGE)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ctxeng.chunks.documents.document import Document
from ctxeng.chunks.split.pack import fill
from ctxeng.chunks.split.piece import LIMIT, Piece, checked, chunks
from ctxeng.chunks.split.seams import PROSE
from ctxeng.errors import BadInput, UnknownName
from ctxeng.retrieval.embed import TextEncoder
from ctxeng.text.sentences import Span, sentences
from ctxeng.tokens import Counter, Estimate
from ctxeng.turn import Chunk

Rule = Literal["drop", "minimum"]
_RULES = ("drop", "minimum")


@dataclass(frozen=True)
class Semantic:
    """SAGE's semantic segmentation, with the cosine of sentence vectors in place of its trained network.

    A chunk ends where the likeness of what stands before and after (`around` sentences each, averaged) is
    under its mean less `z` standard deviations ("drop"), or also at a minimum between two neighbours
    that is under the mean ("minimum"). Chunks of over `limit` tokens are cut again where the likeness is
    least; those under `least` join the neighbour that is more like them, where there is room. What is below
    the mean is a property of the whole document: an edit may move a cut elsewhere.
    """

    encoder: TextEncoder
    limit: int = LIMIT
    least: int = 48
    rule: Rule = "drop"
    z: float = 1.0
    around: int = 2
    counter: Counter = Estimate()

    def __post_init__(self) -> None:
        checked(self.limit)
        if self.rule not in _RULES:
            raise UnknownName("rule", self.rule, _RULES)
        if self.around < 1 or self.least > self.limit:
            raise BadInput("around is at least 1 sentence, and least at most limit")

    def split(self, document: Document) -> list[Chunk]:
        """Chunks of at most `limit` tokens, in order, titled as the document is."""
        text = document.text
        spans = [part for sentence in sentences(text) for part in fill(text, sentence, PROSE[2:], self._fits)]
        if not spans:
            return []
        vectors = self.encoder.embed([text[start:end] for start, end in spans])
        likeness = neighbour_likeness(vectors, self.around)
        cuts = [0, *(int(gap) + 1 for gap in boundaries(likeness, self.rule, self.z)), len(spans)]
        runs = [part for run in pairwise(cuts) for part in self._cut(text, spans, likeness, run)]
        runs = self._joined(text, spans, likeness, runs)
        return chunks(document, ([Piece(spans[first][0], spans[last - 1][1])] for first, last in runs))

    def _fits(self, part: str) -> bool:
        return self.counter.count(part) <= self.limit

    def _cut(self, text: str, spans: Sequence[Span], likeness: NDArray[np.float32], run: Span) -> list[Span]:
        """The run of sentences, parted where it is least coherent until each part is within the limit.

        Only its middle half is looked at: shaved off at its ends, a long run would take quadratic time.
        """
        done, waiting = [], [run]
        while waiting:
            first, last = waiting.pop()
            if last - first == 1 or self._fits(text[spans[first][0] : spans[last - 1][1]]):
                done.append((first, last))
                continue
            margin = (last - first) // 4
            inner = likeness[first + margin : last - 1 - margin]
            middle = first + margin + 1 + int(np.argmin(inner))
            waiting += [(middle, last), (first, middle)]
        return done

    def _joined(
        self, text: str, spans: Sequence[Span], likeness: NDArray[np.float32], runs: Sequence[Span]
    ) -> list[Span]:
        """The runs, those too short put to the neighbour across the gap with the greater likeness."""
        done: list[Span] = []
        waiting = list(reversed(runs))
        while waiting:
            first, last = waiting.pop()
            short = self.counter.count(text[spans[first][0] : spans[last - 1][1]]) < self.least
            sides: list[tuple[float, Span]] = []
            if short and done:
                sides.append((float(likeness[first - 1]), (done[-1][0], last)))
            if short and waiting:
                sides.append((float(likeness[last - 1]), (first, waiting[-1][1])))
            fitting = [
                side for side in sides if self._fits(text[spans[side[1][0]][0] : spans[side[1][1] - 1][1]])
            ]
            if not fitting:
                done.append((first, last))
                continue
            joined = max(fitting)[1]
            (done if joined[0] < first else waiting).pop()
            waiting.append(joined)
        return done


def neighbour_likeness(vectors: NDArray[np.float32], around: int) -> NDArray[np.float32]:
    """The cosine across each gap between sentences: (N - 1,), from unit rows (N, D).

    Each side is the mean of up to `around` sentences.
    """
    sums = np.concatenate([np.zeros((1, vectors.shape[1])), np.cumsum(vectors, axis=0, dtype=np.float64)])
    gaps = np.arange(1, len(vectors))
    before = sums[gaps] - sums[np.maximum(gaps - around, 0)]
    after = sums[np.minimum(gaps + around, len(vectors))] - sums[gaps]
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    return np.asarray((before * after).sum(axis=1) / np.maximum(lengths, 1e-12), dtype=np.float32)


def boundaries(likeness: NDArray[np.float32], rule: Rule, z: float) -> NDArray[np.int64]:
    """The gaps at which a chunk ends, in order."""
    if not len(likeness):
        return np.empty(0, dtype=np.int64)
    mean = likeness.mean()
    low = likeness < mean - z * likeness.std()
    if rule == "minimum":
        framed = np.concatenate([[np.inf], likeness, [np.inf]])
        low |= (likeness < mean) & (likeness < framed[:-2]) & (likeness <= framed[2:])
    return np.flatnonzero(low)
