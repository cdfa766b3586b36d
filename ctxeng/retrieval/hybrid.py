"""Search by words and by meaning together: the sum of BM25 and cosine, each relative to its best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field

import numpy as np
from numpy.typing import NDArray

from ctxeng.retrieval.embed import TextEncoder
from ctxeng.retrieval.fusion import relative
from ctxeng.retrieval.lexical import Lexical, best


@dataclass(frozen=True)
class Hybrid:
    """An immutable index; without an embedder it is BM25 alone.

    `weight` is what meaning counts against words. `previous` lends vectors and terms for texts that it has
    too, so that after a change of a few texts only those are encoded.
    """

    texts: Sequence[str]
    embedder: TextEncoder | None = None
    weight: float = 1.0
    previous: InitVar[Hybrid | None] = None
    lexical: Lexical = field(init=False, repr=False, compare=False)
    vectors: NDArray[np.float32] | None = field(init=False, repr=False, compare=False)  # (N, D), unit rows

    def __post_init__(self, previous: Hybrid | None) -> None:
        lexical = Lexical(self.texts, previous=previous.lexical if previous else None)
        object.__setattr__(self, "texts", lexical.texts)
        object.__setattr__(self, "lexical", lexical)
        object.__setattr__(self, "vectors", _embed(lexical.texts, self.embedder, previous))

    def scores(self, query: str) -> NDArray[np.float32]:
        """One score for each text, between 0 and 1 + `weight`."""
        words = relative(self.lexical.scores(query))
        if self.vectors is None or self.embedder is None:
            return words
        cosine = self.vectors @ self.embedder.embed([query])[0]
        return words + np.float32(self.weight) * relative(cosine)

    def search(self, query: str, k: int) -> list[tuple[int, float]]:
        """The k best (index, score), best first, ties by index; texts that score nothing are left out."""
        return best(self.scores(query), k)


def _embed(
    texts: Sequence[str], embedder: TextEncoder | None, previous: Hybrid | None
) -> NDArray[np.float32] | None:
    if embedder is None:
        return None
    if previous is None or previous.vectors is None or previous.embedder != embedder:
        return embedder.embed(texts)
    rows = {text: row for row, text in enumerate(previous.texts)}
    source = np.fromiter((rows.get(text, -1) for text in texts), dtype=np.int64, count=len(texts))
    vectors = np.empty((len(texts), embedder.dim), dtype=np.float32)
    vectors[source >= 0] = previous.vectors[source[source >= 0]]
    new = np.flatnonzero(source < 0).tolist()
    if new:
        vectors[new] = embedder.embed([texts[index] for index in new])
    return vectors
