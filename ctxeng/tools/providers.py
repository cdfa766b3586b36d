"""Servers of tools and one catalogue: what they offer is kept in step, and calls find their server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

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

    def refresh(self) -> None:
        """Bring the catalogue in step with the servers whose tools have changed; cheap where none has."""
        with self._lock:
            for server in self.servers:
                self._read(server)

    def run(self, call: Call, scope: Scope) -> Result:
        """What the tool's server returned. A failing server is a result with `is_error`."""
        server = self._server(call)
        if server is None:
            return _nobody(call) if self.rest is None else self.rest.run(call, scope)
        return server.run(self._theirs(call), scope)

    async def arun(self, call: Call, scope: Scope) -> Result:
        """The same, awaited."""
        server = self._server(call)
        if server is None:
            return _nobody(call) if self.rest is None else await self.rest.arun(call, scope)
        return await server.arun(self._theirs(call), scope)

    def close(self) -> None:
        """Let go of every server."""
        for server in self.servers:
            server.close()

    def _read(self, server: Provider) -> None:
        if self._known.get(server.name) == server.version:
            return
        try:
            tools = server.tools()
        except Exception as error:  # noqa: BLE001 - one server's failure is not the turn's
            self.problems[server.name] = f"{type(error).__name__}: {error}"
            logger.warning("tool server %s: %s", server.name or "(functions)", error)
            return
        self.problems.pop(server.name, None)
        self.catalogue.put_server(server.name, tools)
        self._known[server.name] = server.version

    def _server(self, call: Call) -> Provider | None:
        if call.name not in self.catalogue:
            return None
        name = self.catalogue[call.name].server
        return next((server for server in self.servers if server.name == name), None)

    def _theirs(self, call: Call) -> Call:
        """The call under the name that the server itself gave the tool."""
        return call.model_copy(update={"name": self.catalogue.own_name(call.name)})


def _nobody(call: Call) -> Result:
    return Result(call_id=call.id, text=f"nothing here runs {call.name!r}", is_error=True)
