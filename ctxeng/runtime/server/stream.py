"""From the engine's thread to asyncio: a generation as an async iterator that ends when its reader goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from ctxeng.runtime.box import Box
from ctxeng.runtime.calls import CallStream
from ctxeng.runtime.job import Generate, Report, Token
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.prompt import Prompt
from ctxeng.turn import Call


@dataclass
class Said:
    """A piece of an answer: text, or at its end the calls and the report."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    report: Report | None = None


async def said(
    box: Box, prompt: Prompt, options: Generate, plan: CachePlan, *, calls: int | None = None
) -> AsyncIterator[Said]:
    """Pieces of the answer as they come; `calls` were made before, those it makes are numbered on.

    Raises what the generation raises; leaving early cancels it.
    """
    loop = asyncio.get_running_loop()
    items: asyncio.Queue[Any] = asyncio.Queue()

    def sink(item: Token | Report | BaseException) -> None:
        loop.call_soon_threadsafe(items.put_nowait, item)  # raises where the loop is closed: nobody reads

    handle = box.engine.submit(prompt, options, plan, sink)
    stream = CallStream(box.form if calls is not None else None)
    try:
        while True:
            item = await items.get()
            if isinstance(item, BaseException):
                raise item
            text = stream.push(item.text if isinstance(item, Token) else item.rest)
            if isinstance(item, Token):
                if text:
                    yield Said(text)
                continue
            rest, found = stream.finish((calls or 0) + 1)
            yield Said(text + rest, found if item.ended != "cancelled" else (), item)
            return
    finally:
        handle.cancel()
