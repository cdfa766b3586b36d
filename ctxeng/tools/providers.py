"""Servers of tools and one catalogue: what they offer is kept in step, and calls find their server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from ctxeng.errors import BadInput, UnknownName
from ctxeng.protocols import Runner
from ctxeng.tools.catalogue import Catalogue
from ctxeng.tools.provider import Provider
from ctxeng.turn import Call, Result, Scope

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Providers:
    """A runner over servers. `rest` runs the calls of tools that are not in the catalogue.

    A server that cannot be reached keeps the tools it had and is named in `problems`; where it never
    answered, the turn goes on without its tools.
    """

    catalogue: Catalogue
    servers: Sequence[Provider]
    rest: Runner | None = None
    problems: dict[str, str] = field(default_factory=dict, init=False, compare=False)
    _known: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = [server.name for server in self.servers]
        for name in names:
            if names.count(name) > 1:
                raise BadInput(f"two tool servers are named {name!r}; give one of them another name")

    def refresh(self) -> None:
        """Bring the catalogue in step with the servers whose tools have changed; cheap where none has.

        A server that fails, or whose tools cannot be taken in, is named in `problems` and asked again.
        """
        with self._lock:
            for server in self.servers:
                self._read(server)

    def run(self, call: Call, scope: Scope) -> Result:
        """What the tool's server returned. A failing server is a result with `is_error`."""
        server, theirs = self._server(call)
        if server is None:
            return _nobody(call) if self.rest is None else self.rest.run(call, scope)
        return server.run(theirs, scope)

    async def arun(self, call: Call, scope: Scope) -> Result:
        """The same, awaited."""
        server, theirs = self._server(call)
        if server is None:
            return _nobody(call) if self.rest is None else await self.rest.arun(call, scope)
        return await server.arun(theirs, scope)

    def close(self) -> None:
        """Let go of every server, of the others too where one fails."""
        with ExitStack() as closing:
            for server in self.servers:
                closing.callback(server.close)

    def _read(self, server: Provider) -> None:
        try:
            version = server.version  # before its tools: what changes meanwhile is read the next time
            if self._known.get(server.name) == version:
                return
            self.catalogue.put_server(server.name, server.tools())
        except Exception as error:  # noqa: BLE001 - one server's failure is not the turn's
            self.problems[server.name] = f"{type(error).__name__}: {error}"
            logger.warning("tool server %s: %s", server.name or "(functions)", error)
            return
        self.problems.pop(server.name, None)
        self._known[server.name] = version

    def _server(self, call: Call) -> tuple[Provider | None, Call]:
        """Who runs the call, and the call under the name that the server itself gave the tool."""
        try:
            name, own = self.catalogue[call.name].server, self.catalogue.own_name(call.name)
        except UnknownName:
            return None, call
        server = next((server for server in self.servers if server.name == name), None)
        return server, call if server is None else call.model_copy(update={"name": own})


def _nobody(call: Call) -> Result:
    return Result(call_id=call.id, text=f"nothing here runs {call.name!r}", is_error=True)
