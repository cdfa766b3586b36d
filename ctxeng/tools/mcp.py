"""Tools of MCP servers, by the official SDK: over standard streams or HTTP, reconnected when they die."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctxeng.errors import BadInput, BadSettings, MissingKey
from ctxeng.extras import needs
from ctxeng.turn import Call, Result, Scope, Tool

if TYPE_CHECKING:
    from ctxeng.tools.mcp_session import McpSession

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds before a server that failed is tried again
_CLOSED = -32000  # JSON-RPC: the connection has ended


@dataclass(frozen=True)
class McpServer:
    """How a server is reached: a `command` with its arguments, or a `url` with headers; secrets unshown."""

    command: str = ""
    args: tuple[str, ...] = field(default=(), repr=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(eq=False)
class McpProvider:
    """The tools of one MCP server. Nothing starts before they are first asked for, or called.

    A server that cannot be reached, dies or hangs (`timeout`, seconds) makes error results that say so, and
    a sentence in `problems`; it is tried again at the next use, after a pause that grows to half a minute.
    Names, descriptions and results are data. Safe with several threads. Closing ends the server's process;
    using it afterwards starts it again.
    """

    name: str
    server: McpServer
    timeout: float = 30.0
    version: int = field(default=0, init=False)
    problems: tuple[str, ...] = field(default=(), init=False)
    _session: McpSession | None = field(default=None, init=False, repr=False)
    _pause: float = field(default=0.0, init=False, repr=False)
    _not_before: float = field(default=0.0, init=False, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)

    def tools(self) -> tuple[Tool, ...]:
        """The tools as the server lists them now. Raises BadInput where it cannot be reached."""
        try:
            listed = self._opened().tools()
        except Exception as error:
            raise BadInput(self._failed(error)) from error
        self.problems = ()
        return tuple(_as_tool(tool, self.name) for tool in listed)

    def run(self, call: Call, scope: Scope) -> Result:  # noqa: ARG002 - the seam's
        """What the server returned; whatever goes wrong is a result with `is_error`."""
        if call.malformed:
            return _error(call, f"the arguments are not valid JSON: {call.malformed}")
        try:
            found = self._opened().call(call.name, dict(call.arguments))
        except Exception as error:  # noqa: BLE001 - a server may fail in any way, and the model is told how
            return _error(call, self._failed(error))
        return _result(call, found)

    async def arun(self, call: Call, scope: Scope) -> Result:  # noqa: ARG002 - the same
        """The same, awaited."""
        if call.malformed:
            return _error(call, f"the arguments are not valid JSON: {call.malformed}")
        try:
            session = await asyncio.to_thread(self._opened)
            found = await session.acall(call.name, dict(call.arguments))
        except Exception as error:  # noqa: BLE001 - the same
            return _error(call, self._failed(error))
        return _result(call, found)

    def close(self) -> None:
        """End the connection, and the server's process where it is ours."""
        with self._lock:
            session, self._session = self._session, None
            self._pause = self._not_before = 0.0
        if session is not None:
            session.close()

    def _opened(self) -> McpSession:
        needs("mcp")
        from ctxeng.tools import mcp_session as made  # noqa: PLC0415 - the SDK takes a second

        with self._lock:
            if self._session is not None and self._session.open:
                return self._session
            wait = self._not_before - time.monotonic()
            if wait > 0:
                raise ConnectionError(f"it failed a moment ago and is tried again in {wait:.0f} s")
            again = self._session is not None or self._pause > 0
            self._session = None
            server = self.server
            transport = (
                made.http(server.url, dict(server.headers), self.timeout)
                if server.url
                else made.stdio(server.command, list(server.args), dict(server.env), server.cwd)
            )
            self._session = made.McpSession(transport, self.timeout, self._changed)
            self._pause = 0.0
            if again:
                self._changed()
            return self._session

    def _changed(self) -> None:
        self.version += 1

    def _failed(self, error: BaseException) -> str:
        """What went wrong, noted; where the connection is lost, it is let go of."""
        cause: BaseException = error
        while isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        timed_out = isinstance(cause, TimeoutError) or getattr(cause, "code", None) == _CLOSED - 1
        answered = hasattr(cause, "code") and cause.code != _CLOSED
        where = self.server.url or self.server.command
        if timed_out:
            said = f"MCP server {self.name!r} did not answer within {self.timeout:g} s"
        elif answered:
            return f"MCP server {self.name!r}: {cause}"
        else:
            why = str(cause) or type(cause).__name__
            said = f"MCP server {self.name!r} ({where}) cannot be reached: {why}"
        self.problems = (said,)
        if not timed_out or self._session is None:
            self._dropped(cause)
        return said

    def _dropped(self, cause: BaseException) -> None:
        with self._lock:
            session, self._session = self._session, None
            if not isinstance(cause, ConnectionError) or session is not None:
                self._pause = min(2 * self._pause or _FIRST_PAUSE, _LONGEST_PAUSE)
                # a connection that stood is tried again at once; one that never came has to wait
                self._not_before = 0.0 if session is not None else time.monotonic() + self._pause
        if session is not None:
            threading.Thread(target=session.close, daemon=True).start()


def read_mcp_config(path: Path, environ: Mapping[str, str], timeout: float = 30.0) -> list[McpProvider]:
    """The servers of an `mcpServers` file; `${NAME}` stands for a variable of the environment.

    Raises BadSettings with file and server, MissingKey for a variable that is not set.
    """
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadSettings(f"{path}: cannot be read: {error}") from error
    servers = given.get("mcpServers") if isinstance(given, dict) else None
    if not isinstance(servers, dict):
        raise BadSettings(f'{path}: it has no servers; it begins with {{"mcpServers": {{"name": {{...}}}}}}')
    return [
        McpProvider(name, _server(entry, f"{path}: server {name!r}", path.parent, environ), timeout)
        for name, entry in servers.items()
        if not (isinstance(entry, dict) and entry.get("disabled"))
    ]


def _server(entry: Any, where: str, folder: Path, environ: Mapping[str, str]) -> McpServer:
    if not isinstance(entry, dict) or bool(entry.get("command")) == bool(entry.get("url")):
        raise BadSettings(f"{where} needs either a `command` or a `url`")
    known = {"command", "args", "env", "cwd", "url", "headers", "type", "disabled"}
    unknown = sorted(set(entry) - known)
    if unknown:
        raise BadSettings(f"{where}: unknown option {unknown[0]!r}; there are {', '.join(sorted(known))}")

    def filled(value: Any, what: str) -> str:
        if not isinstance(value, str):
            raise BadSettings(f"{where}: {what} has to be a text")
        missing = [name for name in _VARIABLE.findall(value) if name not in environ]
        if missing:
            raise MissingKey(f"{where}: the environment variable {missing[0]} is not set")
        return _VARIABLE.sub(lambda match: environ[match[1]], value)

    def mapped(what: str) -> dict[str, str]:
        given = entry.get(what, {})
        if not isinstance(given, dict):
            raise BadSettings(f"{where}: {what} is a mapping of names to texts")
        return {name: filled(value, f"{what}.{name}") for name, value in given.items()}

    args = entry.get("args", [])
    if not isinstance(args, list):
        raise BadSettings(f"{where}: args is a list of texts")
    cwd = str(folder / filled(entry["cwd"], "cwd")) if entry.get("cwd") else None
    return McpServer(
        filled(entry.get("command", ""), "command"),
        tuple(filled(value, "args") for value in args),
        mapped("env"),
        cwd,
        filled(entry.get("url", ""), "url"),
        mapped("headers"),
    )


def _as_tool(tool: Any, server: str) -> Tool:
    return Tool(
        name=tool.name,
        description=tool.description or tool.title or "",
        parameters=tool.input_schema,
        server=server,
    )


def _result(call: Call, found: Any) -> Result:
    """The parts of a result as text; what is no text is named, with its type and size."""
    parts = [_said(part) for part in found.content]
    if not parts and found.structured_content is not None:
        parts = [json.dumps(found.structured_content, ensure_ascii=False)]
    return Result(call_id=call.id, text="\n".join(parts), is_error=bool(found.is_error))


def _said(part: Any) -> str:
    if part.type == "text":
        return str(part.text)
    if part.type in {"image", "audio"}:
        return f"[{part.type}, {part.mime_type}, {len(part.data) * 3 // 4} bytes, not shown]"
    if part.type == "resource_link":
        return f"[resource {part.uri}: {part.description or part.name}]"
    resource = part.resource
    text = getattr(resource, "text", None)
    return str(text) if text is not None else f"[resource {resource.uri}, {resource.mime_type}, not shown]"


def _error(call: Call, why: str) -> Result:
    return Result(call_id=call.id, text=why, is_error=True)
