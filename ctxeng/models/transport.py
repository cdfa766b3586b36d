"""Talking to litellm, blocking or awaiting: the two leaves under one conversation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping
from functools import lru_cache
from types import ModuleType
from typing import Any, Protocol, TypeVar

from ctxeng.errors import MissingExtra
from ctxeng.extras import environment

T = TypeVar("T")


class Transport(Protocol):
    """How a conversation reaches the provider. `open` gives a whole response, or a stream for `next`."""

    async def open(self, request: Mapping[str, Any]) -> Any:
        """What the provider answers."""
        ...

    async def next(self, stream: Any) -> Any | None:
        """The stream's next piece; None at its end."""
        ...

    async def close(self, stream: Any) -> None:
        """Hang up."""
        ...

    async def rest(self, seconds: float) -> None:
        """Some time passes."""
        ...


class Blocking:
    """Blocks the thread; its coroutines never wait, so `at_once` can run what is built on it."""

    async def open(self, request: Mapping[str, Any]) -> Any:
        """What the provider answers."""
        return load().completion(**request)

    async def next(self, stream: Any) -> Any | None:
        """The stream's next piece; None at its end."""
        return next(stream, None)

    async def close(self, stream: Any) -> None:
        """Hang up."""
        connection: Any = getattr(stream, "completion_stream", None)
        if hasattr(connection, "close"):
            connection.close()

    async def rest(self, seconds: float) -> None:
        """Some time passes."""
        time.sleep(seconds)  # noqa: ASYNC251 - this is the leaf that blocks


class Awaiting:
    """Waits on the running event loop."""

    async def open(self, request: Mapping[str, Any]) -> Any:
        """What the provider answers."""
        return await load().acompletion(**request)

    async def next(self, stream: Any) -> Any | None:
        """The stream's next piece; None at its end."""
        return await anext(stream, None)

    async def close(self, stream: Any) -> None:
        """Hang up."""
        if hasattr(stream, "aclose"):
            await stream.aclose()

    async def rest(self, seconds: float) -> None:
        """Some time passes."""
        await asyncio.sleep(seconds)


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise RuntimeError("a coroutine on a blocking transport must not wait")


@lru_cache(maxsize=1)
def load() -> ModuleType:
    """litellm, imported without fetching its price table or reading a .env file. Raises MissingExtra."""
    with environment(LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_MODE="PRODUCTION"):
        try:
            import litellm  # noqa: PLC0415 - takes seconds
        except ImportError as error:
            raise MissingExtra("models", "litellm") from error
    litellm.suppress_debug_info = True  # it would print advertisements on stdout for every error
    module: ModuleType = litellm
    return module


@lru_cache(maxsize=1)
def failures() -> tuple[type[Exception], ...]:
    """What litellm raises: the errors of the libraries under it."""
    import httpx  # noqa: PLC0415 - comes with litellm
    import openai  # noqa: PLC0415

    return (openai.OpenAIError, httpx.HTTPError)
