"""graph-tool-call ranks tools by fusing BM25 with a walk over a graph of which tool feeds which.

Version 0.47 (MIT). Compared is `ToolGraph.add_tools` on the OpenAI schemas, dependencies found by the
library, and `retrieve` in its basic mode, which needs no model; with `embedding: true` our encoder joins in,
which the library advises (and warns of) where there are many tools. A query takes seconds at 2,500 tools.
The description is the text that our own selections search; `about: schema` leaves the schema's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from graph_tool_call import ToolGraph

from ctxeng.retrieval.embed import Embedder
from ctxeng_evals.case import Dataset, Item, Solver

common = ModuleType("ctxeng_peers_common")
SourceFileLoader(common.__name__, str(Path(__file__).with_name("_common.py"))).exec_module(common)


def open(  # noqa: A001 - the name that peer_subject calls
    dataset: Dataset,
    budget: int | None = None,
    count: int | None = None,
    counter: str = "cl100k_base",
    about: str = "text",
    embedding: bool = False,  # noqa: FBT001, FBT002 - given by name, from YAML
) -> Solver:
    """A solver that takes the tools the graph retrieves, in its order."""
    encoder = Embedder()

    def vectors(texts: Sequence[str]) -> list[list[float]]:
        found: list[list[float]] = encoder.embed(list(texts)).tolist()
        return found

    def index(items: Sequence[Item]) -> common.Rank:
        named = common.functions(items, about)
        places = {name: place for place, name in enumerate(named)}
        graph = ToolGraph()
        graph.add_tools([{"type": "function", "function": each} for each in named.values()])
        if embedding:
            graph.enable_embedding(vectors)
        limit = len(items) if budget is not None or count is None else min(count, len(items))
        return lambda question: [places[tool.name] for tool in graph.retrieve(question, top_k=limit)]

    return common.ranking("graph_tool_call", dataset, index, budget=budget, count=count, counter=counter)
