"""A graph beside a question: how alike the question is to each entity and to each statement."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ctxeng.chunks.graph.graph import Graph
from ctxeng.chunks.graph.joints import Joints
from ctxeng.chunks.graph.names import Names, words_of
from ctxeng.retrieval.embed import TextEncoder
from ctxeng.retrieval.hybrid import Hybrid

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Asked:
    """What a question is alike. Scores of 0 say: not at all."""

    query: str
    named: tuple[int, ...]  # the entities that it names, in its order
    entities: Floats  # (N,) by words and by meaning, relative to the best
    statements: Floats  # (M,) the same
    cosines: Floats  # (M,) of the statements' vectors; without an encoder BM25 relative to the best
    least: float

    @property
    def meets(self) -> bool:
        """Whether anything of the graph has to do with the question."""
        return bool(self.named) or float(self.cosines.max(initial=0)) >= self.least


@dataclass(frozen=True)
class GraphIndex:
    """The graph's entities and statements, searchable; without an encoder by words alone.

    An encoder with a cache (`Embedder`) encodes what it has not seen only. A question that names no entity
    and is alike no statement by `least` (a cosine) meets nothing: .2 suits all-MiniLM-L6-v2, whose unrelated
    sentences mostly lie below.
    """

    graph: Graph
    encoder: TextEncoder | None = None
    least: float = 0.2
    _names: Names = field(init=False, repr=False, compare=False)
    _last: dict[str, Asked] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = Names()
        for place, entity in enumerate(self.graph.entities):
            for name in dict.fromkeys((entity.name, *entity.aliases)):
                names.add(name, place, capital=False)
        object.__setattr__(self, "_names", names)

    def ask(self, query: str) -> Asked:
        """The question's scores."""
        known = self._last.get(query)
        if known is not None:  # a source is asked whether it is quiet before it gathers
            return known
        statements = self._statements.scores(query)
        asked = Asked(
            query=query,
            named=tuple(self._names.find(words_of(query), careful=False)),
            entities=self._entities.scores(query),
            statements=statements,
            cosines=self._cosines(query, statements),
            least=self.least,
        )
        self._last.clear()
        self._last[query] = asked
        return asked

    def _cosines(self, query: str, statements: Floats) -> Floats:
        vectors = self._statements.vectors
        if vectors is None or self.encoder is None:
            return statements
        cosines: Floats = vectors @ self.encoder.embed([query])[0]
        return cosines

    @cached_property
    def joints(self) -> Joints:
        """The graph for shortest ways: its nodes are the entities, its edges the statements."""
        return Joints(len(self.graph.entities), self.graph.joins)

    @cached_property
    def _entities(self) -> Hybrid:
        return Hybrid([entity.searchable for entity in self.graph.entities], self.encoder)

    @cached_property
    def _statements(self) -> Hybrid:
        return Hybrid([statement.searchable for statement in self.graph.statements], self.encoder)
