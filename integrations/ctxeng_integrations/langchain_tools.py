"""LangChain tools in a catalogue, and a catalogue's tools in LangChain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from ctxeng.extras import needs

needs("langchain")  # before its import, so that what is missing is named with the pip line

from langchain_core.tools import BaseTool, StructuredTool, ToolException  # noqa: E402

from ctxeng.protocols import Runner  # noqa: E402
from ctxeng.tools.functions import dumped  # noqa: E402
from ctxeng.turn import Call, Result, Scope, Tool  # noqa: E402

_NOBODY = Scope()


@dataclass(frozen=True)
class LangChainProvider:
    """LangChain tools as a server of tools; what they raise is an error result."""

    name: str
    given: Sequence[BaseTool] = field(repr=False)
    version: int = 0

    def tools(self) -> tuple[Tool, ...]:
        """The tools, with the schema of their arguments."""
        return tuple(
            Tool(name=tool.name, description=tool.description, parameters=_schema(tool), server=self.name)
            for tool in self.given
        )

    def run(self, call: Call, scope: Scope) -> Result:  # noqa: ARG002 - the seam's
        """What the tool returned."""
        try:
            return _result(call, self._asked(call).invoke(dict(call.arguments)))
        except Exception as error:  # noqa: BLE001 - a tool may raise anything, and the model is told what
            return _error(call, error)

    async def arun(self, call: Call, scope: Scope) -> Result:  # noqa: ARG002 - the same
        """The same, awaited."""
        try:
            return _result(call, await self._asked(call).ainvoke(dict(call.arguments)))
        except Exception as error:  # noqa: BLE001 - the same
            return _error(call, error)

    def close(self) -> None:
        """Nothing is kept open."""

    def _asked(self, call: Call) -> BaseTool:
        if call.malformed:
            raise ToolException(f"the arguments are not valid JSON: {call.malformed}")
        for tool in self.given:
            if tool.name == call.name:
                return tool
        raise ToolException(f"{self.name} has no tool {call.name!r}")


def as_langchain(tools: Sequence[Tool], runner: Runner, scope: Scope = _NOBODY) -> list[StructuredTool]:
    """Ours as LangChain tools; an error result is raised as ToolException, so that LangChain marks it."""
    return [_structured(tool, runner, scope) for tool in tools]


def _structured(tool: Tool, runner: Runner, scope: Scope) -> StructuredTool:
    def call(arguments: dict[str, Any]) -> Call:
        return Call(id=uuid4().hex, name=tool.name, arguments=arguments)

    def run(**arguments: Any) -> str:  # the tool's own parameters
        return _text(runner.run(call(arguments), scope))

    async def arun(**arguments: Any) -> str:  # the same
        return _text(await runner.arun(call(arguments), scope))

    return StructuredTool(
        name=tool.name,
        description=tool.description or tool.name,
        args_schema=tool.parameters,
        func=run,
        coroutine=arun,
    )


def _text(result: Result) -> str:
    if result.is_error:
        raise ToolException(result.text)
    return result.text


def _schema(tool: BaseTool) -> dict[str, Any]:
    given = tool.tool_call_schema
    found = given if isinstance(given, dict) else given.model_json_schema()
    return {key: value for key, value in found.items() if key not in {"title", "description"}}


def _result(call: Call, value: object) -> Result:
    return Result(call_id=call.id, text=value if isinstance(value, str) else dumped(value))


def _error(call: Call, error: Exception) -> Result:
    said = str(error) if isinstance(error, ToolException) else f"{type(error).__name__}: {error}"
    return Result(call_id=call.id, text=said, is_error=True)
