"""ctxeng's own sources as subjects: what `gather` shows of a case's items under an allowance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ctxeng import render
from ctxeng.chunks.given import GivenChunks
from ctxeng.memory.recent import RecentHistory
from ctxeng.protocols import Allowance, Source
from ctxeng.tokens import Counter
from ctxeng.tools.given import GivenTools
from ctxeng_evals.case import Case, Dataset, Outcome, Piece, Solver
from ctxeng_evals.subjects.requests import Asked, asked

SOURCES: Mapping[str, Source] = {
    "chunks": GivenChunks(),
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
                    ref=given.item_of.get(section.ref, ""),
                    tokens=section.tokens,
                )
                for section in source.gather(given.request, allowance)
            ]
            return Outcome(selected=tuple(p.ref for p in pieces if p.ref), window=tuple(pieces))

        return solve
