"""Chunks in memory, searched by paragraph, so that only some dozens of them are ranked closely."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ctxeng.chunks.candidates import Near, Titles
from ctxeng.chunks.units import units
from ctxeng.retrieval.embed import TextEncoder
from ctxeng.retrieval.hybrid import Hybrid
from ctxeng.turn import Chunk


class Closest:
    """An index over the paragraphs that chunks belong to (the groups of `units`). Immutable once built."""

    def __init__(
        self, chunks: Sequence[Chunk], encoder: TextEncoder | None = None, near: Near | None = None
    ) -> None:
        self._near = near or Near()
        self._chunks = tuple(chunks)
        found = units(self._chunks, "chunk")
        self._texts = found.view("", None).paragraphs
        self._index = Hybrid(self._texts, encoder)
        self._encoder = encoder
        self._titles: Titles[int] = Titles()
        for place, title in enumerate(found.titles):
            self._titles.add(place, title)
        order = np.argsort(found.groups, kind="stable")
        edges = np.searchsorted(found.groups[order], np.arange(len(found.titles) + 1))
        self._members = [order[a:b].tolist() for a, b in pairwise(edges)]

    def __len__(self) -> int:
        return len(self._chunks)

    def near(self, query: str) -> list[Chunk]:
        """The chunks of candidate paragraphs, the best paragraph's first, in reading order within each."""
        return [self._chunks[place] for place in self.places(query)]

    def places(self, query: str) -> list[int]:
        """Where these chunks stand among those given."""
        words = self._index.lexical.scores(query)
        meaning = None
        if self._encoder is not None and self._index.vectors is not None:
            meaning = self._index.vectors @ self._encoder.embed([query])[0]
        found = self._near.places(query, words, meaning, self._titles, self._texts)
        return [place for group in found for place in self._members[group]]
