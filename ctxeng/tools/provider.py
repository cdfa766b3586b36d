"""Where tools come from: the seam that servers of tools fill, and an app's own functions as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ctxeng.tools.functions import Functions
from ctxeng.turn import Call, Result, Scope, Tool


class Provider(Protocol):
    """A server of tools: one unit that a catalogue takes in or lets go whole, and that runs their calls."""

    @property
    def name(self) -> str:
        """The server's name; "" for an app's own functions."""
        ...

    @property
    def version(self) -> int:
        """Changes whenever `tools()` would give something else."""
        ...

    def tools(self) -> tuple[Tool, ...]:
        """The tools as they are now, under the server's own names; `Tool.server` is the server's name."""
        ...

    def run(self, call: Call, scope: Scope) -> Result:
        """The call's result; whatever goes wrong is a result with `is_error`."""
        ...

    async def arun(self, call: Call, scope: Scope) -> Result:
        """The same, awaited."""
        ...

    def close(self) -> None:
        """Let go of processes and connections; a closed server opens again at its next use."""
        ...


@dataclass(frozen=True)
class FunctionProvider:
    """Python functions as a server of tools."""

    name: str
    functions: Functions
    version: int = 0

    def tools(self) -> tuple[Tool, ...]:
        """The functions as tools."""
        return tuple(tool.model_copy(update={"server": self.name}) for tool in self.functions.tools)

    def run(self, call: Call, scope: Scope) -> Result:
        """What the function returned, or raised, as a result."""
        return self.functions.run(call, scope)

    async def arun(self, call: Call, scope: Scope) -> Result:
        """The same, awaited."""
        return await self.functions.arun(call, scope)

    def close(self) -> None:
        """Nothing to let go of."""
