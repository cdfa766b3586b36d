"""Answers in OpenAI's form."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ctxeng.errors import BadInput, CacheFull, Cancelled, ContextOverflow, CtxengError
from ctxeng.runtime.job import Report
from ctxeng.runtime.server.stream import Said
from ctxeng.turn import Call

_ENDS: Mapping[str, str] = {"stop": "stop", "length": "length", "cancelled": "stop", "error": "stop"}


@dataclass(frozen=True)
class Envelope:
    """What stands around every piece of one answer."""

    model: str
    chat: bool
    id: str = field(default_factory=lambda: uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, text: str, last: Said) -> dict[str, Any]:
        """The answer in one piece."""
        assert last.report is not None
        made = self._around("chat.completion" if self.chat else "text_completion")
        finish = _finish(last)
        if self.chat:
            content = None if last.calls and not text else text
            message: dict[str, Any] = {"role": "assistant", "content": content}
            if last.calls:
                message["tool_calls"] = [wire(call) for call in last.calls]
            choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        else:
            choice = {"index": 0, "text": text, "finish_reason": finish, "logprobs": None}
        return {**made, "choices": [choice], "usage": usage(last.report)}

    def piece(self, said: Said, *, first: bool) -> dict[str, Any]:
        """One event of a stream."""
        made = self._around("chat.completion.chunk" if self.chat else "text_completion")
        finish = _finish(said) if said.report is not None else None
        if not self.chat:
            return {**made, "choices": [{"index": 0, "text": said.text, "finish_reason": finish}]}
        delta: dict[str, Any] = {"role": "assistant"} if first else {}
        if said.text or first:
            delta["content"] = said.text
        if said.calls:
            delta["tool_calls"] = [{"index": n, **wire(call)} for n, call in enumerate(said.calls)]
        return {**made, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    def used(self, report: Report) -> dict[str, Any]:
        """The event that a stream with usage ends with."""
        kind = "chat.completion.chunk" if self.chat else "text_completion"
        return {**self._around(kind), "choices": [], "usage": usage(report)}

    def _around(self, kind: str) -> dict[str, Any]:
        prefix = "chatcmpl" if self.chat else "cmpl"
        return {"id": f"{prefix}-{self.id}", "object": kind, "created": self.created, "model": self.model}


def usage(report: Report) -> dict[str, Any]:
    """Tokens of prompt and answer, and how many of the prompt's came out of a store."""
    return {
        "prompt_tokens": report.prompt,
        "completion_tokens": report.generated,
        "total_tokens": report.prompt + report.generated,
        "prompt_tokens_details": {"cached_tokens": report.cached},
    }


def wire(call: Call) -> dict[str, Any]:
    """A tool call."""
    arguments = json.dumps(call.arguments, ensure_ascii=False)
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def fault(error: Exception) -> tuple[int, dict[str, Any]]:
    """The HTTP status of an error, and its body; what is not ours is not told in detail."""
    kinds = {
        ContextOverflow: (400, "context_length_exceeded"),
        BadInput: (400, "invalid_request_error"),
        CacheFull: (503, "cache_full"),
        Cancelled: (499, "cancelled"),
    }
    for kind, (status, code) in kinds.items():
        if isinstance(error, kind):
            return status, told(str(error), code)
    said = str(error) if isinstance(error, CtxengError) else "the server failed"
    return 500, told(said, "server_error")


async def refused(request: Request, error: Exception) -> JSONResponse:
    """Any error as a response: what a request got wrong, what is not here, what failed."""
    del request
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        said = f"{where}: {first['msg']}" if where else str(first["msg"])
        return JSONResponse(told(said, "invalid_request_error"), 400)
    if isinstance(error, HTTPException):
        body = (
            error.detail
            if isinstance(error.detail, dict)
            else told(str(error.detail), "invalid_request_error")
        )
        return JSONResponse(body, error.status_code)
    if isinstance(error, RecursionError):
        return JSONResponse(told("nested too deep", "invalid_request_error"), 400)
    status, body = fault(error)
    return JSONResponse(body, status)


def told(message: str, code: str) -> dict[str, Any]:
    """An error's body."""
    return {"error": {"message": message, "type": code, "param": None, "code": code}}


def _finish(said: Said) -> str:
    assert said.report is not None
    return "tool_calls" if said.calls else _ENDS[said.report.ended]
