"""The tools a request brings, as a source: all if they fit, else the most relevant, in their given order."""

from __future__ import annotations

from dataclasses import dataclass

from ctxeng.protocols import Allowance
from ctxeng.retrieval.lexical import Lexical
from ctxeng.turn import Request, Section, Tool


@dataclass(frozen=True)
class GivenTools:
    """`request.tools`, at most `cap` of them; the given order is kept so that the tool block stays stable."""

    cap: int = 128

    def quiet(self, request: Request) -> bool:
        """Whether the request brings no tools."""
        return not request.tools

    def gather(self, request: Request, allowance: Allowance) -> list[Section]:
        """Sections in the order of `request.tools`; tools shown last turn are kept before new ones."""
        priced = [
            allowance.priced(Section(kind="tool", source="tools", body=tool, ref=tool.name))
            for tool in {tool.name: tool for tool in request.tools}.values()  # providers refuse a name twice
        ]
        if len(priced) <= self.cap and sum(section.tokens for section in priced) <= allowance.tokens:
            return priced
        tools = [section.body for section in priced if isinstance(section.body, Tool)]
        scores = Lexical([_searchable(tool) for tool in tools]).scores(request.query.text)
        shown = set(request.shown.get("tools", ()))
        ranked = sorted(
            range(len(priced)), key=lambda i: (-(scores[i] * (1.2 if priced[i].ref in shown else 1.0)), i)
        )
        kept = {section.ref for section in allowance.fill([priced[i] for i in ranked])[: self.cap]}
        return [section for section in priced if section.ref in kept]


def _searchable(tool: Tool) -> str:
    properties = tool.parameters.get("properties")
    names = " ".join(properties) if isinstance(properties, dict) else ""
    return f"{tool.name} {tool.description} {names}"
