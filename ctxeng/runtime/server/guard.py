"""Before any request is read: who may ask, from where, how much, and how many at once."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ctxeng.runtime.server.answers import told

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
Scope = dict[str, Any]


@dataclass
class Guard:
    """An ASGI application around another. Plain ASGI, so that a caller who hangs up is noticed inside.

    `key`: the bearer token; empty: none, and then only pages of this machine may ask, else any web page could
    through a name that leads here. `most` caps a body's bytes, `waiting` the requests under way.
    """

    app: Any
    key: str
    hosts: tuple[str, ...]
    most: int
    waiting: int
    counts: dict[str, int] = field(default_factory=dict)
    running: int = 0

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value for name, value in scope["headers"]}
        refused = self._refused(scope, headers)
        if refused is not None:
            await refused(scope, receive, send)
            return
        if scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        self.counts["requests"] = self.counts.get("requests", 0) + 1
        self.running += 1
        try:
            await self.app(scope, self._limited(receive), send)
        finally:
            self.running -= 1

    def _refused(self, scope: Scope, headers: dict[str, bytes]) -> JSONResponse | None:
        if scope["path"] == "/health":
            return None
        if self.key:
            scheme, _, sent = headers.get("authorization", b"").partition(b" ")
            right = secrets.compare_digest(sent.strip(), self.key.encode())
            if scheme.lower() != b"bearer" or not right:
                return JSONResponse(told("a valid API key is needed", "invalid_api_key"), 401)
        elif not self._from_here(headers):
            said = "without an API key only this machine may ask: no other Host or Origin"
            return JSONResponse(told(said, "forbidden"), 403)
        if scope["method"] == "POST":
            length = headers.get("content-length", b"0")
            if length.isdigit() and int(length) > self.most:
                return JSONResponse(self._too_large, 413)
            if self.running >= self.waiting:
                return JSONResponse(told("too many requests under way", "rate_limit_exceeded"), 429)
        return None

    def _from_here(self, headers: dict[str, bytes]) -> bool:
        places = [b"//" + headers["host"]] if "host" in headers else []
        places += [headers["origin"]] if "origin" in headers else []
        try:
            names = [urlsplit(place.decode("latin-1")).hostname for place in places]
        except ValueError:
            return False
        return all(name in (*_LOOPBACK, *self.hosts) for name in names)

    def _limited(self, receive: Any) -> Any:
        taken = 0

        async def counted() -> Any:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.most:
                raise HTTPException(413, self._too_large)  # type: ignore[arg-type]
            return message

        return counted

    @property
    def _too_large(self) -> dict[str, Any]:
        return told(f"a request has at most {self.most:,} bytes", "request_too_large")
