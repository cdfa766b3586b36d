"""One connection to an MCP server, held open by a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, Tool, ToolListChangedNotification

T = TypeVar("T")

_PAGES = 1_000  # of a list of tools; a server that goes on is broken
_GRACE = 5.0  # seconds for a server to end by itself


@dataclass
class McpSession:
    """A client that is entered and left in one task, as the SDK wants it; usable from any thread.

    `timeout` (seconds) holds for connecting and for each request, `changed` is called when the server says
    that its tools have changed. What the SDK raises is passed on.
    """

    transport: Callable[[AsyncExitStack], Any]
    timeout: float
    changed: Callable[[], None]
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop, init=False, repr=False)
    _ready: Future[Client] = field(default_factory=Future, init=False, repr=False)
    _stop: asyncio.Event = field(default_factory=asyncio.Event, init=False, repr=False)
    _thread: threading.Thread = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run, name="mcp", daemon=True)
        self._thread.start()
        try:
            self._ready.result(self.timeout + _GRACE)
        except BaseException:
            self.close()
            raise

    @property
    def open(self) -> bool:
        """Whether the connection stands, as far as is known."""
        return self._thread.is_alive() and not self._stop.is_set()

    def tools(self) -> list[Tool]:
        """All tools, from all pages."""
        return self._wait(self._tools())

    def call(self, name: str, arguments: dict[str, Any]) -> CallToolResult:
        """What a call returned."""
        return self._wait(self._call(name, arguments))

    async def acall(self, name: str, arguments: dict[str, Any]) -> CallToolResult:
        """The same, awaited in the caller's own loop."""
        return await asyncio.wrap_future(self._submitted(self._call(name, arguments)))

    def close(self) -> None:
        """End the connection, and the server's process where it is ours."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            if threading.current_thread() is not self._thread:
                self._thread.join(2 * _GRACE)

    # -- in the thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._held())
        except BaseException as error:  # noqa: BLE001 - whatever ends it is for the one who waits
            if not self._ready.done():
                self._ready.set_exception(error)
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _held(self) -> None:
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(self.timeout):
                transport = self.transport(stack)
                # legacy: the handshake that every server speaks, with changes told unasked
                client = await stack.enter_async_context(
                    Client(
                        transport,
                        mode="legacy",
                        cache=None,
                        read_timeout_seconds=self.timeout,
                        message_handler=self._heard,
                    )
                )
            self._ready.set_result(client)
            await self._stop.wait()

    async def _heard(self, message: object) -> None:
        if isinstance(message, ToolListChangedNotification):
            self.changed()

    async def _tools(self) -> list[Tool]:
        found: list[Tool] = []
        cursor: str | None = None
        for _ in range(_PAGES):
            page = await self._ready.result().list_tools(cursor=cursor)
            found += page.tools
            cursor = page.next_cursor
            if cursor is None:
                break
        return found

    async def _call(self, name: str, arguments: dict[str, Any]) -> CallToolResult:
        return await self._ready.result().call_tool(name, arguments)

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self._submitted(work).result(self.timeout + _GRACE)

    def _submitted(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        if not self._thread.is_alive():
            work.close()
            raise ConnectionError("the connection has ended")
        return asyncio.run_coroutine_threadsafe(work, self._loop)


def stdio(
    command: str, args: list[str], env: dict[str, str], cwd: str | None
) -> Callable[[AsyncExitStack], Any]:
    """A server that is a child process; what it writes to stderr is nobody's."""

    def made(stack: AsyncExitStack) -> AbstractAsyncContextManager[Any]:
        nowhere = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        return stdio_client(StdioServerParameters(command=command, args=args, env=env, cwd=cwd), nowhere)

    return made


def http(url: str, headers: dict[str, str], timeout: float) -> Callable[[AsyncExitStack], Any]:
    """A server behind a URL (streamable HTTP); redirects are followed on its own host only."""

    def made(stack: AsyncExitStack) -> AbstractAsyncContextManager[Any]:
        client = httpx2.AsyncClient(headers=headers, timeout=timeout)
        stack.push_async_callback(client.aclose)
        return streamable_http_client(url, http_client=client)

    return made
