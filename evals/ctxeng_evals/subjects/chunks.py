"""ctxeng's chunk selection as a subject: which items a ranker, a reward and a selector take of a case."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from ctxeng.chunks.closest import Closest
from ctxeng.chunks.pool import Pool, Selector
from ctxeng.chunks.rank.rankers import Ranker
from ctxeng.chunks.selector import ChunkSelector
from ctxeng.retrieval.embed import TextEncoder
from ctxeng.tokens import Counter
from ctxeng.turn import Chunk
from ctxeng_evals.case import Case, Dataset, Outcome, Piece, Solver
from ctxeng_evals.subjects.requests import as_chunks

# a case comes in all columns one after another: those of one ranker share its pool, which takes longest to
# make; their times are therefore those of selection alone, but for the first
_POOLS: dict[Hashable, Pool] = {}
_KEPT = 32


@dataclass(frozen=True)
class ChunksSubject:
    """Items are chosen whole. With `titles`, a title costs its tokens once for each of its paragraphs used.

    A pool's items are first narrowed to the paragraphs found by words, by meaning, or named by a hit.
    """

    ranker: Ranker
    selector: Selector
    counter: Counter
    budget: int
    encoder: TextEncoder | None
    titles: bool = True
    order: str = "source"
    sequential: bool = False

    def open(self, dataset: Dataset) -> Solver:
        """A solver; indexes of pools are built once, here."""
        near = {name: Closest(as_chunks(pool), self.encoder) for name, pool in dataset.pools.items()}
        chooser = ChunkSelector(self.ranker, self.selector, self.order, self.encoder, unit="chunk")

        def solve(case: Case) -> Outcome:
            key = (self.ranker, self.encoder, self.counter.name, self.titles, dataset.name, case.id)
            pool = _POOLS.get(key)
            if pool is None:
                shared = case.pool and not case.items
                chunks = near[case.pool].near(case.question) if shared else as_chunks(dataset.items(case))
                _POOLS[key] = pool = chooser.pool(case.question, chunks, self.price)
                while len(_POOLS) > _KEPT:
                    _POOLS.pop(next(iter(_POOLS)), None)
            choice = chooser.take(pool, self.budget, self.price)
            chosen = [choice.pool.chunks[place] for place in choice.arranged]
            spent = 0
            pieces = []
            for count, chunk in enumerate(chosen, 1):
                total = choice.pool.price(choice.arranged[:count])
                pieces.append(Piece(source="chunks", kind="chunk", ref=chunk.id, tokens=total - spent))
                spent = total
            return Outcome(selected=tuple(chunk.id for chunk in chosen), window=tuple(pieces))

        return solve

    def price(self, chunk: Chunk) -> int:
        """Tokens of the chunk, and of its title where titles cost."""
        text = self.counter.count(chunk.text) if chunk.text else 0
        return text + (self.counter.count(chunk.title) + 1 if self.titles and chunk.title else 0)
