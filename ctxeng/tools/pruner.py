"""The tool pruner alone: the few tools that a request needs, out of many, as the objects they came as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ctxeng.errors import BadInput
from ctxeng.retrieval.embed import Embedder, TextEncoder
from ctxeng.tools.catalogue import Catalogue
from ctxeng.tools.functions import as_tool
from ctxeng.tools.listed import tool_of
from ctxeng.tools.rank import ToolRanker
from ctxeng.turn import Tool

T = TypeVar("T")


@dataclass(frozen=True)
class ToolPruner:
    """Selects tools by words, names and meaning; without an `encoder` by words and names alone.

    Tools may be functions, schemas as providers and MCP servers list them, LangChain tools, or ours. The
    catalogue of the last set of tools is kept, so asking again about the same ones takes a millisecond.
    """

    encoder: TextEncoder | None = field(default_factory=Embedder)
    ranker: ToolRanker = field(default_factory=ToolRanker)
    _last: dict[tuple[str, ...], Catalogue] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def select(self, query: str, tools: Sequence[T], limit: int = 8) -> list[T]:
        """At most `limit` of the tools, in the order in which they were given, so that prompts stay alike.

        Raises BadInput for something that is no tool.
        """
        if len(tools) <= limit:
            return list(tools)
        ours = [_ours(tool, place) for place, tool in enumerate(tools)]
        # names may clash here, and objects of one name are still two: each is filed under its place
        filed = [
            tool.model_copy(update={"server": f"{tool.server}#{place}"}) for place, tool in enumerate(ours)
        ]
        key = tuple(tool.model_dump_json() for tool in filed)
        if key not in self._last:
            catalogue = Catalogue(self.encoder)
            catalogue.add(ours if len({(t.server, t.name) for t in ours}) == len(ours) else filed)
            self._last.clear()
            self._last[key] = catalogue
        catalogue = self._last[key]
        places = {tool.name: place for place, tool in enumerate(catalogue)}
        best = self.ranker.scores(catalogue, query).best(limit)
        return [tools[place] for place in sorted(places[name] for name, _ in best)]


def _ours(tool: Any, place: int) -> Tool:
    if isinstance(tool, Tool):
        return tool
    if isinstance(tool, Mapping):
        return tool_of(tool, f"tool {place + 1}")
    name, about = getattr(tool, "name", None), getattr(tool, "description", None)
    if isinstance(name, str) and isinstance(about, str | None):
        return Tool(name=name, description=about or "", parameters=_schema(tool))
    if callable(tool):
        return as_tool(getattr(tool, "__name__", f"tool_{place + 1}"), tool)
    raise BadInput(
        f"tool {place + 1} is a {type(tool).__name__}; give functions, schemas or tools with a name"
    )


def _schema(tool: Any) -> dict[str, Any]:
    """The schema of an object with a name: MCP's `inputSchema`, LangChain's `args`, or `parameters`."""
    for attribute in ("inputSchema", "input_schema", "parameters"):
        found = getattr(tool, attribute, None)
        if isinstance(found, dict):
            return found
    arguments = getattr(tool, "args", None)
    return {"type": "object", "properties": arguments if isinstance(arguments, dict) else {}}
