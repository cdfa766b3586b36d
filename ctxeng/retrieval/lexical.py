"""BM25 over a fixed set of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field

import bm25s
import numpy as np
from numpy.typing import NDArray

from ctxeng.retrieval import words


@dataclass(frozen=True)
class Lexical:
    """An immutable BM25 index.

    `k1` says how fast repeats of a term saturate, `b` how much long texts are held back. `previous` lends
    its terms for texts that it has too, so that a small change does not read everything anew.
    """

    texts: Sequence[str]
    k1: float = 1.5
    b: float = 0.75
    previous: InitVar[Lexical | None] = None
    terms: Mapping[str, list[str]] = field(init=False, repr=False, compare=False)  # of each text
    _vocabulary: dict[str, int] = field(init=False, repr=False, compare=False)
    _index: bm25s.BM25 | None = field(init=False, repr=False, compare=False)

    def __post_init__(self, previous: Lexical | None) -> None:
        known = previous.terms if previous else {}
        found = {text: known[text] if text in known else words.terms(text) for text in self.texts}
        vocabulary: dict[str, int] = {}
        ids = [[vocabulary.setdefault(term, len(vocabulary)) for term in found[text]] for text in self.texts]
        index = None
        if vocabulary:  # bm25s takes no empty index
            index = bm25s.BM25(k1=self.k1, b=self.b)
            index.index((ids, vocabulary), create_empty_token=False, show_progress=False)
        object.__setattr__(self, "texts", tuple(self.texts))
        object.__setattr__(self, "terms", found)
        object.__setattr__(self, "_vocabulary", vocabulary)
        object.__setattr__(self, "_index", index)

    def scores(self, query: str) -> NDArray[np.float32]:
        """One score for each text, 0 where it shares no term with the query."""
        # each term once: what a long request repeats is seldom what it is about (ToolBench R@5 +.02)
        asked = dict.fromkeys(words.terms(query))
        ids = [self._vocabulary[term] for term in asked if term in self._vocabulary]
        if self._index is None or not ids:
            return np.zeros(len(self.texts), dtype=np.float32)
        found: NDArray[np.float32] = self._index.get_scores_from_ids(ids)
        return found

    def search(self, query: str, k: int) -> list[tuple[int, float]]:
        """The k best (index, score), best first, ties by index; texts that share no term are left out."""
        return best(self.scores(query), k)


def best(scores: NDArray[np.float32], k: int) -> list[tuple[int, float]]:
    """The k highest positive scores with their indices, best first, ties by index."""
    if k < len(scores):
        least = np.partition(scores, len(scores) - k)[len(scores) - k] if k > 0 else np.inf
        candidates = np.flatnonzero((scores >= least) & (scores > 0))
    else:
        candidates = np.flatnonzero(scores > 0)
    order = candidates[np.argsort(-scores[candidates], kind="stable")][:k]
    return [(int(index), float(scores[index])) for index in order]
