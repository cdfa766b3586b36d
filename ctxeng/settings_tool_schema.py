"""Tools in a settings file: where they come from, who loads them, how many there may be."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from ctxeng.settings_types import Names, SourceShare, Tokens
from ctxeng.turn import Value


class ToolServer(Value):
    """Where tools come from: one of `mcp`, `openapi`, `functions` and `tools`.

    `mcp` is the usual file of servers (`mcpServers`), `openapi` a document whose operations become tools,
    `functions` names Python functions (`package.module:function`), `tools` is a file of schemas (JSON or
    JSON lines) whose calls the app runs itself. `name` is the server's name, for all but `mcp`. `headers`
    of an API are sent with every call; those in `headers_env` take their values from the environment.
    `timeout` is in seconds.
    """

    mcp: str = ""
    openapi: str = ""
    functions: Names = ()
    tools: str = ""
    name: str = ""
    base_url: str = ""
    headers: dict[str, str] = {}
    headers_env: dict[str, str] = {}
    timeout: float = Field(default=30.0, gt=0)

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [kind for kind in ("mcp", "openapi", "functions", "tools") if getattr(self, kind)]
        if len(given) != 1:
            raise ValueError(
                f"a tool server is one of mcp, openapi, functions, tools; this has {given or 'none'}"
            )
        return self


class ToolSource(SourceShare):
    """Tools as a source; `count` is the most of the app's own that are shown.

    `from` names servers of tools. Of theirs at most `cap` are loaded; `mode` says whether the graph or the
    model loads and unloads them, `found` how many one search loads, `prerequisites`
    whether also those that give the ids which these ask for, `full` what happens at the cap, `expose`
    whether schemas stand in the tool block or, behind two fixed tools, at the window's end. `policy` with
    `window` (turns) and `calm` (share of the best score) decides where no model does; `ask` lets the model
    of the role `retrieve` name what to look for. `clip` (tokens) cuts results; the rest can be read by
    reference. The source spends at most `tokens`: `cap` is of tools here.
    """

    model_config = ConfigDict(populate_by_name=True)

    count: int = Field(default=128, ge=1)
    servers: Annotated[tuple[ToolServer, ...], Field(alias="from")] = ()
    mode: Literal["autonomous", "workflow", "hybrid", "guided"] = "hybrid"
    cap: int = Field(default=16, ge=1, le=512)
    found: int = Field(default=5, ge=1)
    full: Literal["evict", "refuse"] = "evict"
    prerequisites: bool = False
    expose: Literal["native", "proxy"] = "native"
    policy: Literal["window", "decay"] = "window"
    window: int = Field(default=3, ge=1)
    calm: float = Field(default=0.7, ge=0, le=1)
    ask: bool = False
    clip: Annotated[Tokens, Field(ge=64)] | None = None
    tokens: Tokens | None = None

    @property
    def most(self) -> int | None:
        """The most tokens it may spend."""
        return self.tokens
