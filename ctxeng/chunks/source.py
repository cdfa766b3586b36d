"""Documents as a source: the chunks a request brings, and those of the app's own corpus that bear on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ctxeng.chunks.selector import Choice, ChunkSelector
from ctxeng.protocols import Allowance
from ctxeng.turn import Chunk, Request, Section


class Passages(Protocol):
    """A corpus that can be searched: files that were split and indexed, say."""

    def __len__(self) -> int:
        """How many passages it has."""
        ...

    def near(self, query: str) -> Sequence[Chunk]:
        """The passages that could bear on the query, a few dozen, the most likely first."""
        ...


@dataclass(frozen=True)
class ChunkSource:
    """Where all chunks of a request fit, they are shown as they came; else those the selector takes."""

    selector: ChunkSelector = ChunkSelector()
    corpus: Passages | None = None

    def quiet(self, request: Request) -> bool:
        """Whether there are neither chunks in the request nor a corpus."""
        return not request.chunks and not (self.corpus is not None and len(self.corpus))

    def gather(self, request: Request, allowance: Allowance) -> list[Section]:
        """Sections in the selector's order; sentences of one paragraph stand in one section."""
        candidates = self.candidates(request)
        if len(candidates) == len(request.chunks):
            whole = [allowance.priced(section(chunk)) for chunk in request.chunks]
            if sum(each.tokens for each in whole) <= allowance.tokens:
                return whole
        choice = self.choose(request, allowance, candidates)
        return [allowance.priced(section(chunk)) for chunk in choice.shown]

    def choose(
        self, request: Request, allowance: Allowance, candidates: Sequence[Chunk] | None = None
    ) -> Choice:
        """What `gather` shows where not everything fits, with what it was chosen from: for explanations."""
        chunks = self.candidates(request) if candidates is None else candidates

        def price(chunk: Chunk) -> int:
            return allowance.price(section(chunk))

        return self.selector.choose(request.query.text, chunks, allowance.tokens, price)

    def candidates(self, request: Request) -> Sequence[Chunk]:
        """The request's chunks, and behind them the corpus's that it does not have already."""
        if self.corpus is None:
            return request.chunks
        given = {chunk.id for chunk in request.chunks}
        near = [chunk for chunk in self.corpus.near(request.query.text) if chunk.id not in given]
        return (*request.chunks, *near)


def section(chunk: Chunk) -> Section:
    """The chunk as it stands in the window."""
    return Section(kind="chunk", source="chunks", body=chunk, ref=chunk.id, trust=chunk.trust)
