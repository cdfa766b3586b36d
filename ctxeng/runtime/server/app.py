"""The server: chat, completions, embeddings, models, health and metrics, in OpenAI's form."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from ctxeng.errors import ContextOverflow, CtxengError
from ctxeng.runtime.box import Box
from ctxeng.runtime.embedding import embed
from ctxeng.runtime.job import Generate
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.prompt import Part, Prompt
from ctxeng.runtime.server.answers import Envelope, fault, told
from ctxeng.runtime.server.forms import Chat, Completion, Embedding, Sampled
from ctxeng.runtime.server.stream import Said, said


@dataclass(frozen=True)
class Asked:
    """What is to be generated, and whether calls are looked for in it."""

    prompt: Prompt
    options: Generate
    calls: int | None = None  # made before; None: none are looked for


@dataclass
class Server:
    """One model behind HTTP. `key`: what callers must bring as a bearer token; empty: nothing.

    `most` caps the tokens of an answer, `waiting` the requests under way; those beyond are refused with 429.
    """

    box: Box
    plan: CachePlan = CachePlan()
    key: str = ""
    most: int = 4096
    waiting: int = 256
    counts: dict[str, int] = field(default_factory=dict)
    _running: int = 0

    def app(self) -> FastAPI:
        """The application, for uvicorn or any other ASGI server."""
        app = FastAPI(title="ctxeng", docs_url=None, redoc_url=None, openapi_url=None)
        app.middleware("http")(self._guard)
        app.exception_handler(RequestValidationError)(_invalid)
        app.exception_handler(CtxengError)(_failed)
        app.get("/health")(self.health)
        app.get("/metrics")(self.metrics)
        app.get("/v1/models")(self.models)
        app.post("/v1/chat/completions")(self.chat)
        app.post("/v1/completions")(self.complete)
        app.post("/v1/embeddings")(self.embeddings)
        return app

    async def health(self) -> dict[str, str]:
        """Whether it answers."""
        return {"status": "ok"}

    async def models(self) -> dict[str, Any]:
        """The one model."""
        entry = {"id": self.box.name, "object": "model", "created": 0, "owned_by": "local"}
        return {"object": "list", "data": [entry]}

    async def metrics(self) -> PlainTextResponse:
        """Counters and gauges in Prometheus' text form."""
        facts = {**self.box.engine.describe(), **self.counts, "requests_running": self._running}
        numbers = {name: value for name, value in facts.items() if isinstance(value, int | float)}
        lines = [f"ctxeng_{name} {value}" for name, value in sorted(numbers.items())]
        return PlainTextResponse("\n".join(lines) + "\n")

    async def chat(self, form: Chat, request: Request) -> Response:
        """`POST /v1/chat/completions`."""
        tools = form.tools if form.tool_choice != "none" else []
        prompt = self.box.prompt(form.messages, tools)
        options = self._options(form, prompt, form.max_completion_tokens or form.max_tokens)
        schema = form.schema_wanted
        if schema is not None:
            options = _with(options, self.box.grammars.json_schema(schema))
        made = sum(len(message.get("tool_calls") or ()) for message in form.messages)
        asked = Asked(prompt, options, made if tools else None)
        return await self._answer(form, request, Envelope(self.box.name, chat=True), asked)

    async def complete(self, form: Completion, request: Request) -> Response:
        """`POST /v1/completions`."""
        given = form.prompt
        ids = self.box.tokenizer.encode(given) if isinstance(given, str) else given
        prompt = Prompt((Part("text", tuple(ids)),))
        options = self._options(form, prompt, form.max_tokens or 16)
        asked = Asked(prompt, options)
        return await self._answer(form, request, Envelope(self.box.name, chat=False), asked)

    async def embeddings(self, form: Embedding) -> dict[str, Any]:
        """`POST /v1/embeddings`: mean hidden states, unit length."""
        given = form.input
        alone = isinstance(given, str) or (bool(given) and isinstance(given[0], int))
        many: list[Any] = [given] if alone else list(given)
        encode = self.box.tokenizer.encode
        texts = [encode(one) if isinstance(one, str) else list(one) for one in many]
        vectors = await asyncio.to_thread(embed, self.box.engine, texts)
        data = [
            {"object": "embedding", "index": n, "embedding": _written(vector, form.encoding_format)}
            for n, vector in enumerate(vectors)
        ]
        total = sum(map(len, texts))
        used = {"prompt_tokens": total, "total_tokens": total}
        return {"object": "list", "data": data, "model": self.box.name, "usage": used}

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
        made = said(self.box, asked.prompt, asked.options, self.plan, calls=asked.calls)
        pieces = self._counted(made)
        if form.stream:
            # the first piece is waited for, so that what fails at once is an error and no broken stream
            first = await anext(pieces)
            events = _events(envelope, first, pieces, usage=form.with_usage)
            return StreamingResponse(events, media_type="text/event-stream")
        found = await _unless_gone(request, pieces)
        return JSONResponse(envelope.whole("".join(piece.text for piece in found), found[-1]))

    async def _counted(self, pieces: AsyncIterator[Said]) -> AsyncIterator[Said]:
        self._running += 1
        try:
            async for piece in pieces:
                if piece.report is not None:
                    for name in ("prompt", "cached", "generated"):
                        total = self.counts.get(f"{name}_tokens", 0)
                        self.counts[f"{name}_tokens"] = total + getattr(piece.report, name)
                yield piece
        finally:
            self._running -= 1
            await pieces.aclose()  # type: ignore[attr-defined]

    async def _guard(self, request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        """The key first, then the queue's limit; health is for everybody."""
        if request.url.path != "/health" and self.key:
            sent = request.headers.get("authorization", "")
            if not secrets.compare_digest(sent.encode(), f"Bearer {self.key}".encode()):
                return JSONResponse(told("a valid API key is needed", "invalid_api_key"), 401)
        if request.method == "POST" and self._running >= self.waiting:
            return JSONResponse(told("too many requests under way", "rate_limit_exceeded"), 429)
        self.counts["requests"] = self.counts.get("requests", 0) + 1
        return await go_on(request)


def _with(options: Generate, constraint: Any) -> Generate:
    return Generate(
        options.max_tokens, options.sampling, options.stop, options.stop_texts, constraint, options.deadline
    )


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


async def _unless_gone(request: Request, pieces: AsyncIterator[Said]) -> list[Said]:
    """All pieces; where the caller hangs up, the generation ends."""

    async def collected() -> list[Said]:
        async with aclosing(pieces):  # type: ignore[type-var]
            return [piece async for piece in pieces]

    work = asyncio.create_task(collected())
    try:
        while not work.done():
            await asyncio.wait({work}, timeout=0.5)
            if not work.done() and await request.is_disconnected():
                work.cancel()
        return await work
    finally:
        work.cancel()


def _written(vector: Any, form: str) -> Any:
    numbers = np.asarray(vector, np.float32)
    return base64.b64encode(numbers.tobytes()).decode() if form == "base64" else numbers.tolist()


async def _failed(request: Request, error: Exception) -> JSONResponse:
    del request
    status, body = fault(error)
    return JSONResponse(body, status)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    del request
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    return JSONResponse(told(f"{where}: {first['msg']}", "invalid_request_error"), 400)
