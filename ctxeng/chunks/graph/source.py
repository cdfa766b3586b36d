"""A graph as a source: the statements that a question needs, each with where it is from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from ctxeng.chunks.graph.graph import Graph, Statement
from ctxeng.chunks.graph.index import GraphIndex
from ctxeng.chunks.graph.prune import Prune
from ctxeng.chunks.graph.retrieve import Steiner
from ctxeng.errors import UnknownName
from ctxeng.protocols import Allowance
from ctxeng.retrieval.embed import TextEncoder
from ctxeng.turn import Chunk, Request, Section

Mode = Literal["steiner", "prune"]


@dataclass(frozen=True)
class GraphSource:
    """`graph`, of which each turn sees a connected part (`steiner`) or what passes thresholds (`prune`).

    A statement is a section of its own, so that feedback can point at it: `ref` is the statement's id, which
    stays the same when the graph is built again, `Chunk.source` says where it is from. A question that the
    graph has nothing to do with (`least`, see `GraphIndex`) gets nothing. Without an encoder, by words alone.
    """

    graph: Graph
    encoder: TextEncoder | None = None
    mode: Mode = "steiner"
    steiner: Steiner = Steiner()
    prune: Prune = Prune()
    least: float = 0.2
    name: str = "graph"

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise UnknownName("graph mode", self.mode, get_args(Mode))

    @cached_property
    def index(self) -> GraphIndex:
        """What is searched; made once, when it is first needed."""
        return GraphIndex(self.graph, self.encoder, self.least)

    def quiet(self, request: Request) -> bool:
        """Whether the graph has nothing to do with the question, or nothing passes the thresholds."""
        if not self.graph.statements:
            return True
        asked = self.index.ask(request.query.text)
        return not asked.meets or (self.mode == "prune" and not self.prune.kept(self.index, asked))

    def gather(self, request: Request, allowance: Allowance) -> list[Section]:
        """Sections of statements, those most alike the question first."""
        sections: dict[str, Section] = {}

        def price(statement: Statement) -> int:
            if statement.id not in sections:
                sections[statement.id] = allowance.priced(self._section(statement))
            return sections[statement.id].tokens

        chosen = self.select(request.query.text, allowance.tokens, price)
        return [sections[statement.id] for statement in chosen]

    def select(self, query: str, tokens: int, price: Callable[[Statement], int]) -> list[Statement]:
        """The statements for a query whose prices add up to `tokens` at most, most alike first."""
        if not self.graph.statements or tokens <= 0:
            return []
        asked = self.index.ask(query)
        if not asked.meets:
            return []
        method = self.steiner if self.mode == "steiner" else self.prune
        statements = self.graph.statements
        places = method.select(self.index, asked, lambda place: price(statements[place]), tokens)
        return [statements[place] for place in places]

    def _section(self, statement: Statement) -> Section:
        body = Chunk(
            id=statement.id,
            text=statement.text,
            source=", ".join(statement.sources),
            title=statement.title,
            end=len(statement.text),
            trust=statement.trust,
        )
        return Section(kind="chunk", source=self.name, body=body, ref=statement.id, trust=statement.trust)
