"""The tools by which a model manages its tools: to search, to remove, and to call those it cannot see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from ctxeng.tools.modes import Mode
from ctxeng.tools.working import Change
from ctxeng.turn import Call, Tool

SEARCH, REMOVE, CALL = "search_tools", "remove_tools", "call_tool"
Expose = Literal["native", "proxy"]
_NEW, _OLD, _GONE = "loaded ", "already loaded ", "unloaded: "  # how lines of a result begin
_LAST = " tools are loaded"  # how it ends
_SHORT = 200  # characters of a description in a list of finds

_SEARCH_TOOL = Tool(
    name=SEARCH,
    description=(
        "Find tools that are not loaded yet and load the best matches. Say what you want to do, in a few "
        "words. Search once for each thing that needs a tool of its own."
    ),
    parameters={
        "type": "object",
        "properties": {"query": {"type": "string", "description": "what the tool should do"}},
        "required": ["query"],
        "additionalProperties": False,
    },
)
_REMOVE_TOOL = Tool(
    name=REMOVE,
    description=(
        "Unload tools that are no longer needed, to make room for others. `server/*` stands for all tools of "
        "a server. They can be found again with a search."
    ),
    parameters={
        "type": "object",
        "properties": {"names": {"type": "array", "items": {"type": "string"}, "minItems": 1}},
        "required": ["names"],
        "additionalProperties": False,
    },
)
_CALL_TOOL = Tool(
    name=CALL,
    description="Call a tool that a search found or that is listed before the question, by its name.",
    parameters={
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "arguments": {"type": "object", "description": "as the tool's schema has them"},
        },
        "required": ["name", "arguments"],
        "additionalProperties": False,
    },
)


def managing(mode: Mode, expose: Expose) -> tuple[Tool, ...]:
    """The managing tools that this mode puts into the window; the same ones in every turn."""
    found = [_SEARCH_TOOL] if mode.search_tool else []
    found += [_REMOVE_TOOL] if mode.prune_tool else []
    return (*found, _CALL_TOOL) if expose == "proxy" else tuple(found)


def meant(call: Call) -> Call:
    """The call that is meant: the one inside `call_tool`, else the call itself; its id stays."""
    if call.name != CALL or call.malformed:
        return call
    name, arguments = call.arguments.get("name"), call.arguments.get("arguments", {})
    if not isinstance(name, str):
        return call.model_copy(update={"malformed": json.dumps(call.arguments)})
    try:
        if isinstance(arguments, str):  # models write JSON into a string now and then
            arguments = json.loads(arguments)
        return Call(id=call.id, name=name, arguments=arguments)
    except (ValueError, RecursionError):  # of pydantic too: no object, or nested too deep
        return Call(id=call.id, name=name, malformed=json.dumps(call.arguments["arguments"]))


def misnamed(call: Call) -> str:
    """What is wrong with a `call_tool` that means no other tool."""
    return f"call_tool needs `name`, the tool's, and `arguments`, an object; got {call.malformed or 'itself'}"


def schema_line(tool: Tool) -> str:
    """A tool as one line of JSON, as the proxy shows it."""
    shown = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return json.dumps(shown, ensure_ascii=False)


def told(change: Change, tools: Sequence[Tool], cap: int, expose: Expose) -> str:
    """What an operator did, for the model: what came, what went, what found no room, how full it is."""
    lines: list[str] = []
    for tool in tools:
        about = schema_line(tool) if expose == "proxy" else f"{tool.name}: {_short(tool.description)}"
        lines.append((_NEW if tool.name in change.added else _OLD) + about)
    if not (tools or change.removed or change.refused):
        lines.append("no tool fits; say it in other words")
    if change.removed:
        lines.append(_GONE + ", ".join(change.removed))
    if change.refused:
        lines.append(f"no room for: {', '.join(change.refused)}; remove some first")
    lines.append(f"{len(change.working.held)} of at most {cap}{_LAST}")
    return "\n".join(lines)


def heard(text: str, expose: Expose) -> tuple[list[str], list[str]] | None:
    """The names that `told` said were loaded, or were already, and those that went; None for another text."""
    if not text.endswith(_LAST):
        return None
    came: list[str] = []
    gone: list[str] = []
    for line in text.split("\n"):
        about = line.removeprefix(_NEW if line.startswith(_NEW) else _OLD)
        if line.startswith(_GONE):
            gone += line.removeprefix(_GONE).split(", ")
        elif about != line:
            came.append(json.loads(about)["name"] if expose == "proxy" else about.partition(":")[0])
    return came, gone


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHORT else line[:_SHORT].rsplit(" ", 1)[0] + " ..."
