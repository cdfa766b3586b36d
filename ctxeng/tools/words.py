"""What a tool is found by: its name and server as words, its description, its parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ctxeng.turn import Tool

_MOST = 2_000  # characters of parameters: what stands behind them is boilerplate, and encoders stop before


def name_text(tool: Tool) -> str:
    """Its server and its own name; index terms split them at underscores and humps."""
    return f"{tool.server.replace('/', ' ')} {tool.name}".strip()


def short_text(tool: Tool) -> str:
    """Its own name and its description."""
    return f"{tool.name}: {tool.description}"


def full_text(tool: Tool) -> str:
    """Name, description, then names and descriptions of its parameters, those inside others too."""
    said = " ".join(_parameters(tool.parameters))[:_MOST]
    return f"{name_text(tool)}: {tool.description}" + (f" ({said})" if said else "")


def _parameters(schema: Any, depth: int = 0) -> Iterator[str]:
    """Names, descriptions and choices, outermost first; references and deep nesting are left alone."""
    if not isinstance(schema, dict) or depth > 3:  # noqa: PLR2004 - deeper is seldom asked for in words
        return
    properties = schema.get("properties")
    for name, inner in properties.items() if isinstance(properties, dict) else ():
        yield str(name)
        if isinstance(inner, dict):
            about, choices = inner.get("description"), inner.get("enum")
            if isinstance(about, str) and about:
                yield about
            if isinstance(choices, list):
                yield " ".join(str(choice) for choice in choices)
            yield from _parameters(inner, depth + 1)
            yield from _parameters(inner.get("items"), depth + 1)
