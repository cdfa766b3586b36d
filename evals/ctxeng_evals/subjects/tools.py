"""ctxeng's tool ranker as a subject: which tools of a pool it puts first, with or without having learned."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from ctxeng.errors import BadInput
from ctxeng.retrieval.embed import TextEncoder
from ctxeng.tokens import Counter
from ctxeng.tools.catalogue import Catalogue
from ctxeng.tools.priors import Priors, Used
from ctxeng.tools.rank import ToolRanker
from ctxeng.turn import Tool
from ctxeng_evals import registry
from ctxeng_evals.case import Case, Dataset, Item, Outcome, Piece, Solver
from ctxeng_evals.subjects.requests import as_tool


@dataclass(frozen=True)
class ToolsSubject:
    """The `count` best of each case's pool.

    `learn` names a dataset of the same pool whose labelled cases teach the priors beforehand: at most
    `examples` of them, drawn by `seed`, none that is a case here, too.
    """

    ranker: ToolRanker
    counter: Counter
    count: int
    encoder: TextEncoder | None = None
    learn: str = ""
    examples: int = 4_000
    seed: int = 0
    sequential: bool = False

    def open(self, dataset: Dataset) -> Solver:
        """A solver; catalogues and priors are made once, here."""
        pools = {name: _Pool.of(items, self.encoder) for name, items in dataset.pools.items()}
        priors = {name: self._learned(dataset, pool) for name, pool in pools.items()} if self.learn else {}

        def solve(case: Case) -> Outcome:
            if case.pool not in pools:
                raise BadInput(f"case {case.id} has no pool of tools")
            pool = pools[case.pool]
            ranked = self.ranker.scores(pool.catalogue, case.question, priors=priors.get(case.pool))
            chosen = [pool.items[name] for name, _ in ranked.best(self.count)]
            pieces = [
                Piece(source="tools", kind="tool", ref=item.id, tokens=self.counter.count(item.body) + 1)
                for item in chosen
            ]
            return Outcome(selected=tuple(item.id for item in chosen), window=tuple(pieces))

        return solve

    def _learned(self, dataset: Dataset, pool: _Pool) -> Priors:
        here = {case.id for case in dataset.cases} | {case.question for case in dataset.cases}
        names = {item.id: name for name, item in pool.items.items()}
        cases = [
            case
            for case in registry.load(self.learn).cases
            if not {case.id, case.question} & here and all(gold in names for gold in case.gold)
        ]
        random.Random(self.seed).shuffle(cases)  # noqa: S311 - a seeded draw
        priors = Priors(self.encoder)
        priors.learn(
            [
                Used(case.id, case.question, tuple(names[gold] for gold in case.gold), case.group)
                for case in cases[: self.examples]
            ]
        )
        return priors


@dataclass(frozen=True)
class _Pool:
    catalogue: Catalogue
    items: dict[str, Item]  # by the catalogue's names

    @classmethod
    def of(cls, items: Sequence[Item], encoder: TextEncoder | None) -> _Pool:
        """The pool as a catalogue."""
        catalogue = Catalogue(encoder)
        found: dict[str, Item] = {}
        for item in items:
            (name,) = catalogue.add([tool_of(item)])
            found[name] = item
        return cls(catalogue, found)


def tool_of(item: Item) -> Tool:
    """The item as its server lists it: its own name, and the server where that is another's name."""
    server = "" if item.source == item.id else item.source
    return as_tool(item).model_copy(update={"name": item.title or item.id, "server": server})
