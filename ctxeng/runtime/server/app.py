"""The server: chat, completions, embeddings, models, health and metrics, in OpenAI's form."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from ctxeng.errors import BadInput, ContextOverflow, CtxengError
from ctxeng.runtime.box import Box
from ctxeng.runtime.embedding import embed
from ctxeng.runtime.job import Generate
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.prompt import Part, Prompt
from ctxeng.runtime.server.answers import Envelope, fault, refused, told
from ctxeng.runtime.server.forms import Chat, Completion, Embedding, Sampled
from ctxeng.runtime.server.guard import Guard
from ctxeng.runtime.server.stream import Said, said

T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """What is to be generated, and whether calls are looked for in it."""

    prompt: Prompt
    options: Generate
    calls: int | None = None  # made before; None: none are looked for


@dataclass
class Server:
    """One model behind HTTP. `key`: what callers must bring as a bearer token; empty: nothing.

    `most` caps the tokens of an answer, `waiting` the requests under way (those beyond are refused with 429).
    Without a key, `hosts` are the names, beside those of this machine, that it may be called by.
    """

    box: Box
    plan: CachePlan = CachePlan()
    key: str = ""
    most: int = 4096
    waiting: int = 256
    hosts: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    _guard: Guard | None = None
    _aside: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "ctxeng-requests"))

    def app(self) -> Guard:
        """The application, for uvicorn or any other ASGI server."""
        app = FastAPI(title="ctxeng", docs_url=None, redoc_url=None, openapi_url=None)
        for kind in (RequestValidationError, HTTPException, CtxengError, Exception):
            app.exception_handler(kind)(refused)
        app.get("/health")(self.health)
        app.get("/metrics")(self.metrics)
        app.get("/v1/models")(self.models)
        app.get("/v1/models/{name:path}")(self.model)
        app.post("/v1/chat/completions")(self.chat)
        app.post("/v1/completions")(self.complete)
        app.post("/v1/embeddings")(self.embeddings)
        most = (1 << 20) + 32 * self.box.window  # bytes: more than any prompt that fits
        self._guard = Guard(app, self.key, self.hosts, most, self.waiting, self.counts)
        return self._guard

    async def health(self) -> Response:
        """Whether it answers, and can."""
        alive = self.box.engine.alive
        return JSONResponse({"status": "ok" if alive else "the engine has ended"}, 200 if alive else 503)

    async def models(self) -> dict[str, Any]:
        """The one model."""
        return {"object": "list", "data": [self._entry()]}

    async def model(self, name: str) -> dict[str, Any]:
        """The same by its name."""
        self._known(name)
        return self._entry()

    @property
    def running(self) -> int:
        """Requests under way."""
        return self._guard.running if self._guard is not None else 0

    async def metrics(self) -> PlainTextResponse:
        """Counters and gauges in Prometheus' text form."""
        facts = {**self.box.engine.describe(), **self.counts, "requests_running": self.running}
        numbers = {name: value for name, value in facts.items() if isinstance(value, int | float)}
        lines = [f"ctxeng_{name} {value}" for name, value in sorted(numbers.items())]
        return PlainTextResponse("\n".join(lines) + "\n")

    async def chat(self, form: Chat, request: Request) -> Response:
        """`POST /v1/chat/completions`."""
        self._known(form.model)
        asked = await self._apart(lambda: self._chat(form))
        return await self._answer(form, request, Envelope(self.box.name, chat=True), asked)

    async def complete(self, form: Completion, request: Request) -> Response:
        """`POST /v1/completions`."""
        self._known(form.model)
        asked = await self._apart(lambda: self._completion(form))
        return await self._answer(form, request, Envelope(self.box.name, chat=False), asked)

    async def embeddings(self, form: Embedding, request: Request) -> dict[str, Any]:
        """`POST /v1/embeddings`: mean hidden states, unit length."""
        self._known(form.model)
        given = form.input
        alone = isinstance(given, str) or (bool(given) and isinstance(given[0], int))
        many: list[Any] = [given] if alone else list(given)
        encode = self.box.tokenizer.encode
        texts = await self._apart(
            lambda: [encode(one) if isinstance(one, str) else list(one) for one in many]
        )
        gone = threading.Event()
        work = asyncio.to_thread(embed, self.box.engine, texts, gone.is_set)
        vectors = await _unless_gone(request, work, gone.set)
        data = [
            {"object": "embedding", "index": n, "embedding": _written(vector, form.encoding_format)}
            for n, vector in enumerate(vectors)
        ]
        total = sum(map(len, texts))
        used = {"prompt_tokens": total, "total_tokens": total}
        return {"object": "list", "data": data, "model": self.box.name, "usage": used}

    # -- what is asked ----------------------------------------------------------------------------------

    async def _apart(self, work: Callable[[], T]) -> T:
        """Templates, tokens and grammars take time: in a thread of their own, one request after the other."""
        return await asyncio.get_running_loop().run_in_executor(self._aside, work)

    def _entry(self) -> dict[str, Any]:
        return {"id": self.box.name, "object": "model", "created": 0, "owned_by": "local"}

    def _known(self, name: str) -> None:
        if name and name != self.box.name:
            said = told(f"there is no model {name!r} here, but {self.box.name!r}", "model_not_found")
            raise HTTPException(404, said)  # type: ignore[arg-type]

    def _chat(self, form: Chat) -> Asked:
        tools = [tool.model_dump() for tool in form.tools] if form.tool_choice != "none" else []
        if tools and self.box.form is None:
            raise BadInput(f"{self.box.name}: this model's chat template knows no tools")
        messages = [message.model_dump(exclude_none=True) for message in form.messages]
        self._short(sum(len(str(message.get("content", ""))) for message in messages))
        prompt = self.box.prompt(messages, tools)
        options = self._options(form, prompt, form.max_completion_tokens or form.max_tokens)
        schema = form.schema_wanted
        if schema is not None:
            options = replace(options, constraint=self.box.grammars.json_schema(schema))
        made = sum(len(message.tool_calls or ()) for message in form.messages)
        return Asked(prompt, options, made if tools else None)

    def _completion(self, form: Completion) -> Asked:
        given = form.prompt[0] if form.prompt and isinstance(form.prompt[0], str) else form.prompt
        given = form.prompt if isinstance(form.prompt, str) else given
        if isinstance(given, str):
            self._short(len(given))
        ids = self.box.tokenizer.encode(given) if isinstance(given, str) else given
        if not ids:
            raise BadInput("the prompt is empty")
        prompt = Prompt((Part("text", tuple(ids)),))  # type: ignore[arg-type]
        return Asked(prompt, self._options(form, prompt, form.max_tokens or 16))

    def _short(self, characters: int) -> None:
        """Raises ContextOverflow for a text that cannot fit, before it is cut into tokens."""
        if characters > 32 * self.box.window:
            raise ContextOverflow(f"{characters:,} characters cannot fit into {self.box.window:,} tokens")

    # -- one answer -------------------------------------------------------------------------------------

    def _options(self, form: Sampled, prompt: Prompt, wanted: int | None) -> Generate:
        room = self.box.window - len(prompt.ids)
        if room < 1 or (wanted is not None and wanted > room):
            raise ContextOverflow(
                f"a prompt of {len(prompt.ids)} tokens and {wanted or 1} of answer exceed {self.box.window}"
            )
        most = min(wanted or room, room, self.most)
        return Generate(most, form.sampling, self.box.stop, form.stops)

    async def _answer(self, form: Sampled, request: Request, envelope: Envelope, asked: Asked) -> Response:
        pieces = self._counted(said(self.box, asked.prompt, asked.options, self.plan, calls=asked.calls))
        if form.stream:
            # the first piece is waited for, so that what fails at once is an error and no broken stream
            first = await _unless_gone(request, anext(pieces))
            events = _events(envelope, first, pieces, usage=form.stream_options.include_usage)
            return StreamingResponse(events, media_type="text/event-stream")
        found = await _unless_gone(request, _all(pieces))
        return JSONResponse(envelope.whole("".join(piece.text for piece in found), found[-1]))

    async def _counted(self, pieces: AsyncIterator[Said]) -> AsyncGenerator[Said]:
        try:
            async for piece in pieces:
                if piece.report is not None:
                    for name in ("prompt", "cached", "generated"):
                        total = self.counts.get(f"{name}_tokens", 0)
                        self.counts[f"{name}_tokens"] = total + getattr(piece.report, name)
                yield piece
        finally:
            await pieces.aclose()  # type: ignore[attr-defined]


async def _events(
    envelope: Envelope, first: Said, pieces: AsyncIterator[Said], *, usage: bool
) -> AsyncIterator[str]:
    """Server-sent events; an error in the middle is an event, for the status is long sent."""
    piece: Said | None = first
    async with aclosing(pieces):  # type: ignore[type-var]
        try:
            beginning = True
            while piece is not None:
                yield f"data: {json.dumps(envelope.piece(piece, first=beginning))}\n\n"
                if piece.report is not None and usage:
                    yield f"data: {json.dumps(envelope.used(piece.report))}\n\n"
                beginning = False
                piece = await anext(pieces, None)
            yield "data: [DONE]\n\n"
        except Exception as error:  # noqa: BLE001 - whoever reads is told, and the others go on
            yield f"data: {json.dumps(fault(error)[1])}\n\n"


async def _all(pieces: AsyncIterator[Said]) -> list[Said]:
    async with aclosing(pieces):  # type: ignore[type-var]
        return [piece async for piece in pieces]


async def _unless_gone(
    request: Request, work: Coroutine[Any, Any, T], end: Callable[[], None] = lambda: None
) -> T:
    """What comes of the work; where the caller hangs up, it is cancelled, and `end` is called."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=0.25)
            if not task.done() and await request.is_disconnected():
                task.cancel()
        return await task
    finally:
        end()
        task.cancel()


def _written(vector: Any, form: str) -> Any:
    numbers = np.asarray(vector, np.float32)
    return base64.b64encode(numbers.tobytes()).decode() if form == "base64" else numbers.tolist()
