"""langgraph-bigtool lets an agent find its tools by a vector search over a LangGraph store.

Version 0.0.3 (MIT), with langgraph 1.x (MIT). Compared is its default retrieval tool over an InMemoryStore.
The texts are those that our own selections search and the vectors are our encoder's, so that only the method
differs; its default limit of two tools gives way to the suite's count or budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from langgraph.store.base import PutOp
from langgraph.store.memory import InMemoryStore
from langgraph_bigtool.tools import get_default_retrieval_tool

from ctxeng.retrieval.embed import Embedder
from ctxeng_evals.case import Dataset, Item, Solver

common = ModuleType("ctxeng_peers_common")
SourceFileLoader(common.__name__, str(Path(__file__).with_name("_common.py"))).exec_module(common)

SPACE = ("tools",)


def open(  # noqa: A001 - the name that peer_subject calls
    dataset: Dataset,
    budget: int | None = None,
    count: int | None = None,
    counter: str = "cl100k_base",
) -> Solver:
    """A solver that takes the tools the store finds, in its order."""
    encoder = Embedder()

    def vectors(texts: Sequence[str]) -> list[list[float]]:
        found: list[list[float]] = encoder.embed(list(texts)).tolist()
        return found

    def index(items: Sequence[Item]) -> common.Rank:
        store = InMemoryStore(index={"embed": vectors, "dims": encoder.dim, "fields": ["description"]})
        store.batch(
            [
                PutOp(SPACE, str(place), {"description": common.searched(item)})
                for place, item in enumerate(items)
            ]
        )
        # a budget may have to skip tools, so that the number of those it asks for is not known before
        limit = len(items) if budget is not None or count is None else min(count, len(items))
        retrieve, _ = get_default_retrieval_tool(SPACE, limit=limit)
        return lambda question: [int(key) for key in retrieve(question, store=store)] if limit else []

    return common.ranking("langgraph_bigtool", dataset, index, budget=budget, count=count, counter=counter)
