"""Tools and schemas from files, as a request brings them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ctxeng.cli.common import read_json
from ctxeng.errors import BadInput
from ctxeng.turn import Tool


def read_tools(path: Path) -> tuple[Tool, ...]:
    """Tool schemas from a JSON list: our own form, OpenAI's, or MCP's. Raises BadInput naming the tool."""
    raw = read_json(path)
    raw = raw.get("tools", raw) if isinstance(raw, dict) else raw
    if not isinstance(raw, list) or not raw:
        raise BadInput(f'{path}: not a list of tools, such as [{{"name": "search", "parameters": {{...}}}}]')
    tools = [_tool(path, number, each) for number, each in enumerate(raw, 1)]
    for number, tool in enumerate(tools, 1):
        if any(tool.name == other.name for other in tools[: number - 1]):
            raise BadInput(f"{path}: tool {number}: the name {tool.name!r} is given twice")
    return tuple(tools)


def read_schema(path: Path) -> dict[str, Any]:
    """A JSON Schema. Raises BadInput."""
    raw = read_json(path)
    if not isinstance(raw, dict):
        raise BadInput(f"{path}: a JSON Schema is an object, this is {type(raw).__name__}")
    return raw


def _tool(path: Path, number: int, raw: Any) -> Tool:
    given = raw.get("function", raw) if isinstance(raw, dict) else raw
    if not isinstance(given, dict):
        raise BadInput(f"{path}: tool {number}: not an object")
    fields = {key: given[key] for key in ("name", "description", "parameters") if key in given}
    if "inputSchema" in given:
        fields["parameters"] = given["inputSchema"]
    try:
        return Tool.model_validate(fields)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(step) for step in fault["loc"])
        raise BadInput(f"{path}: tool {number}: {where}: {fault['msg']}") from error
