"""ctxeng's own sources as subjects: what `gather` shows of a case's items under an allowance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ctxeng import render
from ctxeng.chunks.rank.rankers import BridgingRanker
from ctxeng.chunks.selector import ChunkSelector
from ctxeng.chunks.source import ChunkSource
from ctxeng.memory.recent import RecentHistory
from ctxeng.protocols import Allowance, Source
from ctxeng.retrieval.embed import Embedder
from ctxeng.tokens import Counter
from ctxeng.tools.given import GivenTools
from ctxeng.turn import Chunk, Section
from ctxeng_evals.case import Case, Dataset, Outcome, Piece, Solver
from ctxeng_evals.subjects.requests import Asked, asked

SOURCES: Mapping[str, Source] = {
    # nothing trained: the re-ranker that ships has seen the data sets that suites are made of
    "chunks": ChunkSource(ChunkSelector(BridgingRanker(), encoder=Embedder(), unit="chunk")),
    "memory": RecentHistory(),
    "tools": GivenTools(),
}


@dataclass(frozen=True)
class SourceSubject:
    """One source, alone: its sections under `budget` tokens, priced as a chat model's prompt."""

    source: Literal["chunks", "memory", "tools"]
    counter: Counter
    budget: int
    sequential: bool = False

    def open(self, dataset: Dataset) -> Solver:
        """A solver over the dataset's cases."""
        source = SOURCES[self.source]

        def solve(case: Case) -> Outcome:
            given: Asked = asked(case, dataset)
            allowance = Allowance(self.budget, lambda section: render.price(section, self.counter))
            pieces = [
                Piece(
                    source=self.source,
                    kind=section.kind,
                    ref=given.item_of.get(ref, ""),
                    tokens=0 if place else section.tokens,  # a joined section's tokens stand with its first
                )
                for section in source.gather(given.request, allowance)
                for place, ref in enumerate(_refs(section))
            ]
            return Outcome(selected=tuple(p.ref for p in pieces if p.ref), window=tuple(pieces))

        return solve


def _refs(section: Section) -> tuple[str, ...]:
    """What the section shows: the chunks it was joined from, or itself."""
    return section.body.parts if isinstance(section.body, Chunk) and section.body.parts else (section.ref,)
