"""Tools of a settings file: their servers, the set that is loaded, the step that loads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ctxeng.errors import BadInput, MissingKey
from ctxeng.protocols import Observer, Prepare, Runner, Source
from ctxeng.retrieval.embed import TextEncoder
from ctxeng.settings_tool_schema import ToolServer, ToolSource
from ctxeng.text.prompts import Prompts
from ctxeng.tools.catalogue import Catalogue
from ctxeng.tools.clip.clipper import Clipper
from ctxeng.tools.functions import Functions
from ctxeng.tools.given import GivenTools
from ctxeng.tools.listed import ListedProvider, read_tools
from ctxeng.tools.modes import mode_named
from ctxeng.tools.output import READ, ClippedRunner
from ctxeng.tools.policy import Decay, Policy, SlidingWindow
from ctxeng.tools.prepare import LoadTools
from ctxeng.tools.provider import FunctionProvider, Provider
from ctxeng.tools.providers import Providers
from ctxeng.tools.sessions import Sessions
from ctxeng.tools.toolset import ToolSet
from ctxeng.turn import Tool


@dataclass(frozen=True)
class ToolKit:
    """All that a settings file says of tools, built once it is asked for.

    `environ` is where keys are looked up, `own` are the app's tools and `rest` runs their calls, `function`
    finds a function by `package.module:name`.
    """

    given: ToolSource
    folder: Path
    encoder: TextEncoder | None
    environ: Mapping[str, str]
    function: Callable[[str], Callable[..., Any]]
    prompts: Prompts = Prompts()
    rest: Runner | None = None
    own: Sequence[Tool] = ()

    @cached_property
    def providers(self) -> Providers | None:
        """The servers; None where the file names none."""
        if not self.given.servers:
            return None
        servers = [server for given in self.given.servers for server in self._servers(given)]
        names = [server.name for server in servers]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise BadInput(f"two tool servers are named {min(twice)!r}; give one of them another `name`")
        taken = frozenset({READ, *(tool.name for tool in self.own)})
        catalogue = Catalogue(self.encoder, taken)
        return Providers(catalogue, servers, self.rest)

    @cached_property
    def tools(self) -> ToolSet | None:
        """The set; None where the file names no servers."""
        if self.providers is None:
            return None
        given = self.given
        return ToolSet(
            self.providers.catalogue,
            mode_named(given.mode),
            self._policy(),
            cap=given.cap,
            found=min(given.found, given.cap),
            full=given.full,
            prerequisites=given.prerequisites,
            expose=given.expose,
            sessions=Sessions(self.encoder),
        )

    @property
    def source(self) -> Source:
        """Tools as a source."""
        return GivenTools(self.given.count) if self.tools is None else self.tools

    @property
    def prepares(self) -> tuple[Prepare, ...]:
        """The step that loads a turn's tools, where there are servers."""
        if self.tools is None:
            return ()
        return (LoadTools(self.tools, self.providers, self.given.ask, prompts=self.prompts),)

    @cached_property
    def runner(self) -> Runner | None:
        """What runs all calls, and cuts their results where the file says so."""
        found = self.rest if self.providers is None else self.providers
        if found is None or self.given.clip is None:
            return found
        return ClippedRunner(found, Clipper(self.given.clip))

    @property
    def added(self) -> tuple[Tool, ...]:
        """The tools that come with the runner: reading what was cut."""
        return self.runner.tools if isinstance(self.runner, ClippedRunner) else ()

    @property
    def observers(self) -> Sequence[Observer]:
        """What learns from turns."""
        return () if self.tools is None else (self.tools,)

    def close(self) -> None:
        """Let go of the servers."""
        if "providers" in self.__dict__ and self.providers is not None:
            self.providers.close()

    def _policy(self) -> Policy:
        given = self.given
        return SlidingWindow(given.window, given.calm) if given.policy == "window" else Decay(calm=given.calm)

    def _servers(self, given: ToolServer) -> list[Provider]:
        if given.mcp:
            from ctxeng.tools.mcp import read_mcp_config  # noqa: PLC0415 - an extra

            return [*read_mcp_config(self.folder / given.mcp, self.environ)]
        if given.openapi:
            from ctxeng.tools.openapi import OpenAPIProvider, read_openapi  # noqa: PLC0415 - an extra

            path = self.folder / given.openapi
            headers = {**given.headers, **self._secrets(given)}
            name = given.name or path.stem
            return [OpenAPIProvider(name, read_openapi(path), given.base_url, headers, given.timeout)]
        if given.functions:
            named = {name.partition(":")[2]: self.function(name) for name in given.functions}
            return [FunctionProvider(given.name or "functions", Functions(named))]
        return _listed(self.folder / given.tools, given.name, self.rest)

    def _secrets(self, given: ToolServer) -> dict[str, str]:
        """Headers whose values are in the environment. Raises MissingKey."""
        missing = [variable for variable in given.headers_env.values() if not self.environ.get(variable)]
        if missing:
            raise MissingKey(f"{given.openapi}: the environment variable {missing[0]} is not set")
        return {name: self.environ[variable] for name, variable in given.headers_env.items()}


def _listed(path: Path, name: str, runner: Runner | None) -> list[Provider]:
    """A provider for each server that the file names; tools without one are of `name`, or the file's."""
    found: dict[str, list[Any]] = {}
    for tool in read_tools(path):
        found.setdefault(tool.server or name or path.stem, []).append(tool)
    return [
        ListedProvider(server, tuple(tool.model_copy(update={"server": server}) for tool in tools), runner)
        for server, tools in found.items()
    ]
