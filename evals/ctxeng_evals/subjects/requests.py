"""A case as a request: its items as chunks, tools and history, and the way back from refs to items."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ctxeng.turn import (
    Choice,
    Choices,
    Chunk,
    FreeText,
    Message,
    Request,
    Scope,
    Text,
    Tool,
    Want,
    user,
)
from ctxeng_evals.case import Case, Dataset, Item


@dataclass(frozen=True)
class Asked:
    """A request with the form its answer has to have; `item_of` maps a section's ref to an item's id."""

    request: Request
    want: Want
    item_of: Mapping[str, str]


def asked(case: Case, dataset: Dataset) -> Asked:
    """The case as an app would ask it; entries come as chunks, for the app has a playbook of its own."""
    items = dataset.items(case)
    tools = {tool.name: (tool, item) for item in items if item.kind == "tool" for tool in [as_tool(item)]}
    item_of = {item.id: item.id for item in items if item.kind != "tool"}
    item_of |= {name: item.id for name, (_, item) in tools.items()}
    request = Request(
        query=user(case.question),
        system=case.system,
        history=_history(items),
        chunks=tuple(as_chunks(item for item in items if item.kind in {"chunk", "entry"})),
        tools=tuple(tool for tool, _ in tools.values()),
        scope=Scope(session=case.group),
    )
    want: Want = FreeText()
    if case.choices:
        want = Choices(options=tuple(Choice(value=value) for value in case.choices))
    return Asked(request, want, item_of)


def as_chunks(items: Iterable[Item]) -> list[Chunk]:
    """The items as chunks of the same ids."""
    return [Chunk(id=item.id, text=item.body, source=item.source, title=item.title) for item in items]


def as_tool(item: Item) -> Tool:
    """The item's schema as a tool; where it has none, a tool without parameters."""
    try:
        shown: Any = json.loads(item.shown) if item.shown else {}
    except ValueError:
        shown = {}
    function = shown.get("function", shown) if isinstance(shown, dict) else {}
    return Tool(
        name=function.get("name") or item.title or item.id,
        description=function.get("description") or item.text,
        parameters=function.get("parameters") or {"type": "object", "properties": {}},
    )


def _history(items: Sequence[Item]) -> tuple[Message, ...]:
    return tuple(
        Message(
            id=item.id,
            role="assistant" if item.role == "assistant" else "user",
            parts=(Text(text=item.body),),
        )
        for item in items
        if item.kind == "message"
    )
