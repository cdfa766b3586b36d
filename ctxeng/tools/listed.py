"""Tools from a file of schemas: a list, or one a line; their calls are run by the app itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctxeng.errors import BadInput
from ctxeng.protocols import Runner
from ctxeng.turn import Call, Result, Scope, Tool


@dataclass(frozen=True)
class ListedProvider:
    """Tools that are only described; `runner` runs their calls, where there is one."""

    name: str
    listed: tuple[Tool, ...]
    runner: Runner | None = None
    version: int = 0

    def tools(self) -> tuple[Tool, ...]:
        """The tools as the file has them, of this server unless the file names another."""
        return self.listed

    def run(self, call: Call, scope: Scope) -> Result:
        """What the app's runner returns."""
        return _unrun(call) if self.runner is None else self.runner.run(call, scope)

    async def arun(self, call: Call, scope: Scope) -> Result:
        """The same, awaited."""
        return _unrun(call) if self.runner is None else await self.runner.arun(call, scope)

    def close(self) -> None:
        """Nothing to let go of."""


def read_tools(path: Path) -> tuple[Tool, ...]:
    """The tools of a JSON or JSON lines file. Raises BadInput with the file and the record's number.

    A record is what providers and MCP servers list: `name`, `description` and a schema under `parameters`,
    `inputSchema` or `input_schema`, or all that inside `function`; `server` may name where it is from.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read: {error}") from error
    return tuple(
        tool_of(record, f"{path}: tool {number}") for number, record in enumerate(_records(text, path), 1)
    )


def _unrun(call: Call) -> Result:
    return Result(call_id=call.id, text=f"{call.name} is only described here; nothing runs it", is_error=True)


def _records(text: str, path: Path) -> list[Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        return [_line(line, f"{path}:{number}") for number, line in lines]
    found = found.get("tools", [found]) if isinstance(found, dict) else found
    if not isinstance(found, list):
        raise BadInput(f"{path}: a file of tools is a list of them, or has one a line")
    return found


def _line(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise BadInput(f"{where}: not JSON: {error}") from error


def tool_of(record: Any, where: str = "a tool") -> Tool:
    """A provider's or a server's record of a tool as ours. Raises BadInput that begins with `where`."""
    inner = record.get("function", record) if isinstance(record, Mapping) else None
    if not isinstance(inner, Mapping) or not isinstance(inner.get("name"), str) or not inner["name"]:
        raise BadInput(f"{where} has no name")
    schemas = [inner[key] for key in ("parameters", "inputSchema", "input_schema") if key in inner]
    schema = schemas[0] if schemas else {"type": "object", "properties": {}}
    if not isinstance(schema, dict):
        raise BadInput(f"{where}, {inner['name']}: its parameters are not a JSON Schema")
    return Tool(
        name=inner["name"],
        description=str(inner.get("description") or ""),
        parameters=schema,
        server=str(record.get("server") or ""),
    )
