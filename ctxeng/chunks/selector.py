"""Ranking, choosing and arranging chunks, put together; usable without the rest of ctxeng."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

import numpy as np

from ctxeng.chunks.order import arrange
from ctxeng.chunks.pool import Chosen, Pool, Selection, Selector
from ctxeng.chunks.rank.rankers import LearnedRanker, Noted, Ranker
from ctxeng.chunks.rank.view import View
from ctxeng.chunks.selectors.top_k import TopK
from ctxeng.chunks.units import Unit, Units, parent, units
from ctxeng.retrieval.embed import TextEncoder
from ctxeng.tokens import Counter
from ctxeng.turn import Chunk

Price = Callable[[Chunk], int]  # tokens of a chunk as it will be shown, its frame included

_SHARED = 0.5  # what a rare name in common is as a link, against a title that is named
_JOIN = " … "  # between sentences that something was left out between
_NEAR = 2  # characters between neighbours: a blank line


@dataclass(frozen=True)
class Choice:
    """What was chosen, from what, and in which order it is shown."""

    pool: Pool
    selection: Selection
    arranged: Chosen

    @property
    def shown(self) -> list[Chunk]:
        """The chosen chunks in their order, those of one paragraph joined."""
        groups = groupby(self.arranged, key=lambda place: self.pool.groups[place])
        return [joined([self.pool.chunks[place] for place in sorted(places)]) for _, places in groups]


@dataclass(frozen=True)
class ChunkSelector:
    """Chooses the chunks, and their order, that help most with a question under a number of tokens.

    `unit` says whether chunks are chosen whole or by their sentences. `considered` is how many of the best
    are compared at least; beyond that, as many as two budgets hold. `least` is the relevance below which
    none is taken, even where there is room. Without an encoder, words and names alone are compared.
    """

    ranker: Ranker = LearnedRanker()
    selector: Selector = TopK()
    order: str = "source"
    encoder: TextEncoder | None = None
    unit: Unit = "sentence"
    considered: int = 60
    least: float = 0.0

    def select(self, query: str, chunks: Sequence[Chunk], tokens: int, counter: Counter) -> list[Chunk]:
        """The chunks to show, in order, at most `tokens` as the counter counts titles and texts."""

        def price(chunk: Chunk) -> int:
            return counter.count(f"{chunk.title}\n{chunk.text}\n")

        return self.choose(query, chunks, tokens, price).shown

    def choose(self, query: str, chunks: Sequence[Chunk], tokens: int, price: Price) -> Choice:
        """The same, with what it was chosen from: for explanations."""
        return self.take(self.pool(query, chunks, price), tokens, price)

    def take(self, pool: Pool, tokens: int, price: Price) -> Choice:
        """The same out of a pool at hand: one ranking serves several budgets and selectors."""
        pool = narrowed(pool, self._worth_comparing(pool, tokens))
        selection = self.selector.select(pool, tokens)
        while True:
            choice = Choice(pool, selection, arrange(pool, selection.chosen, self.order))
            # pieces are priced one by one, and a tokenizer may count their sum higher
            if sum(map(price, choice.shown)) <= tokens:
                return choice
            selection = replace(selection, chosen=selection.chosen[:-1])

    def pool(self, query: str, chunks: Sequence[Chunk], price: Price) -> Pool:
        """All candidates with their relevance, costs and links."""
        found = units(chunks, self.unit)
        view = found.view(query, self.encoder)
        return pooled(view, found, self.ranker, price)

    def _worth_comparing(self, pool: Pool, tokens: int) -> list[int]:
        order = np.argsort(-pool.relevance, kind="stable")
        order = order[pool.relevance[order] >= self.least]
        spent = np.cumsum(pool.costs[order])
        enough = int(np.searchsorted(spent, 2 * tokens)) + 1
        return sorted(order[: max(self.considered, enough)].tolist())


def pooled(view: View, found: Units, ranker: Ranker, price: Price) -> Pool:
    """The pool of these units, ranked and priced."""
    empty = [chunk.model_copy(update={"text": ""}) for chunk in found.chunks]
    bare = np.array([price(chunk) for chunk in empty], dtype=np.int64)
    whole = np.array([price(chunk) for chunk in found.chunks], dtype=np.int64)
    frames = np.zeros(len(found.titles), dtype=np.int64)
    np.maximum.at(frames, found.groups, bare)
    links = None
    if len(found.chunks):
        links = np.maximum(view.naming[:, found.groups], _SHARED * np.minimum(view.sharing, 1.0))
    return Pool(
        query=view.query,
        chunks=found.chunks,
        costs=np.maximum(whole - bare, 0) + 1,  # what joins it to its neighbour
        groups=found.groups,
        frames=frames,
        relevance=ranker.rank(view),
        vectors=view.vectors,
        aspects=view.covers,
        weights=view.weights,
        links=links,
        details={"bm25": view.bm25, **({"cosine": view.cosine} if view.cosine is not None else {})},
        note=ranker.note(view) if isinstance(ranker, Noted) else "",
    )


def narrowed(pool: Pool, places: Sequence[int]) -> Pool:
    """The pool of these candidates alone, groups numbered anew."""
    if len(places) == len(pool):
        return pool
    kept = np.asarray(places, dtype=np.int64)
    names, groups = np.unique(pool.groups[kept], return_inverse=True)
    return Pool(
        query=pool.query,
        chunks=tuple(pool.chunks[place] for place in places),
        costs=pool.costs[kept],
        groups=groups.astype(np.int64),
        frames=pool.frames[names],
        relevance=pool.relevance[kept],
        vectors=None if pool.vectors is None else pool.vectors[kept],
        aspects=None if pool.aspects is None else pool.aspects[kept],
        weights=pool.weights,
        links=None if pool.links is None else pool.links[np.ix_(kept, kept)],
        details={name: scores[kept] for name, scores in pool.details.items()},
        note=pool.note,
    )


def joined(chunks: Sequence[Chunk]) -> Chunk:
    """Chunks of one paragraph as one, under the id of the first or of the chunk it is a sentence of.

    What was left out between two of them is marked; `parts` says which they were.
    """
    first, last = chunks[0], chunks[-1]
    name = parent(first.id)
    if len(chunks) == 1 and name == first.id:
        return first
    text = first.text
    for before, chunk in pairwise(chunks):
        text += _between(before, chunk) + chunk.text
    parts = tuple(part for chunk in chunks for part in (chunk.parts or (chunk.id,)))
    return first.model_copy(
        update={"id": name, "text": text, "end": max(first.end, last.end), "parts": parts}
    )


def _between(before: Chunk, chunk: Chunk) -> str:
    """What stands between two sentences: a sign that something is missing, a line break, or a space."""
    gap = chunk.start - before.end if before.end else 1
    if gap > _NEAR:
        return _JOIN
    return "\n" if gap == _NEAR or before.text.startswith("#") else " "
