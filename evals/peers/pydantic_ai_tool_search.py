"""pydantic-ai's ToolSearch hides deferred tools behind a search tool that counts shared words.

Version 2.68 (MIT). Compared is the local algorithm, which runs where a provider has no tool search of its
own: the capability's toolset is asked for `search_tools` and called as a model would, with the question as
the query. Tools that share no word with it are not found, so a window may hold fewer than `count`. The
description is the text that our own selections search; `about: schema` leaves the schema's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic_ai import ModelRetry
from pydantic_ai.capabilities import ToolSearch
from pydantic_ai.models.test import TestModel
from pydantic_ai.tools import RunContext, ToolDefinition
from pydantic_ai.toolsets import ExternalToolset
from pydantic_ai.usage import RunUsage

from ctxeng_evals.case import Dataset, Item, Solver

common = ModuleType("ctxeng_peers_common")
SourceFileLoader(common.__name__, str(Path(__file__).with_name("_common.py"))).exec_module(common)

SEARCH = ToolSearch.function_tool_name


def open(  # noqa: A001 - the name that peer_subject calls
    dataset: Dataset,
    budget: int | None = None,
    count: int | None = None,
    counter: str = "cl100k_base",
    about: str = "text",
) -> Solver:
    """A solver that takes the tools the search returns, in its order."""
    context: RunContext[None] = RunContext(deps=None, model=TestModel(), usage=RunUsage())

    def index(items: Sequence[Item]) -> common.Rank:
        named = common.functions(items, about)
        places = {name: place for place, name in enumerate(named)}
        tools = [
            ToolDefinition(
                name=name,
                description=each["description"],
                parameters_json_schema=each["parameters"],
                defer_loading=True,
            )
            for name, each in named.items()
        ]
        toolset = ToolSearch(max_results=len(items)).get_wrapper_toolset(ExternalToolset(tools))
        search = asyncio.run(toolset.get_tools(context))[SEARCH]

        def rank(question: str) -> Sequence[int]:
            try:
                found: Any = asyncio.run(toolset.call_tool(SEARCH, {"queries": [question]}, context, search))
            except ModelRetry:  # a question without a letter or digit: a model would be told to ask again
                return []
            return [places[match["name"]] for match in found["discovered_tools"]]

        rank("tool")  # builds its index, which two threads would get in each other's way at
        return rank

    return common.ranking(
        "pydantic_ai_tool_search", dataset, index, budget=budget, count=count, counter=counter
    )
