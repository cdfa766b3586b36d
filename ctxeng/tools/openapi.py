"""Operations of an OpenAPI document as tools: one schema of all their parameters, calls over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin, urlsplit

import jsonschema
import yaml

from ctxeng.errors import BadInput
from ctxeng.extras import needs
from ctxeng.tools.openapi_operations import Operation, operations
from ctxeng.turn import Call, Result, Scope, Tool

if TYPE_CHECKING:
    import httpx

_QUOTED = 2_000  # characters of an error's body that the model is shown


def read_openapi(path: Path) -> Mapping[str, Any]:
    """The document, JSON or YAML, of OpenAPI 3. Raises BadInput with the file and what is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BadInput(f"{path}: cannot be read: {error}") from error
    version = str(found.get("openapi", "")) if isinstance(found, dict) else ""
    if not version.startswith("3."):
        raise BadInput(f"{path}: no OpenAPI 3 document; it should begin with `openapi: 3.1.0` or 3.0.x")
    if not isinstance(found.get("paths"), dict):
        raise BadInput(f"{path}: it has no `paths`")
    document: Mapping[str, Any] = found
    return document


@dataclass(frozen=True)
class OpenAPIProvider:
    """One tool an operation. `headers`, often secrets, go with every call and into no error and no result.

    Arguments are checked against the operation's schema first. What stands in a path is encoded, so that no
    argument changes the path, the host or the query. Redirects are not followed. `timeout` is in seconds.
    Raises BadInput where neither `base_url` nor the document says which host is meant.
    """

    name: str
    document: Mapping[str, Any] = field(repr=False)
    base_url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 30.0
    version: int = 0

    def __post_init__(self) -> None:
        if urlsplit(self._base).scheme not in {"http", "https"}:
            raise BadInput(
                f"API {self.name!r}: the document names no absolute server "
                f"({self._base or 'none'}); give base_url"
            )

    def tools(self) -> tuple[Tool, ...]:
        """The operations as tools, deprecated ones last."""
        return tuple(each.tool(self.name) for each in self._operations.values())

    def run(self, call: Call, scope: Scope) -> Result:  # noqa: ARG002 - the seam's
        """The body of the answer; anything but 2xx is a result with `is_error`."""
        needs("httpx")
        import httpx  # noqa: PLC0415 - an extra

        try:
            request = self._request(call)
            with httpx.Client(timeout=self.timeout, headers=dict(self.headers)) as client:
                return _result(call, client.send(client.build_request(**request)))
        except BadInput as error:
            return _error(call, str(error))
        except httpx.HTTPError as error:
            return _error(call, f"{call.name}: {type(error).__name__}: no answer from {self._host}")

    async def arun(self, call: Call, scope: Scope) -> Result:
        """The same, awaited."""
        return await asyncio.to_thread(self.run, call, scope)

    def close(self) -> None:
        """Nothing is kept open."""

    @cached_property
    def _operations(self) -> dict[str, Operation]:
        return operations(self.document)

    @property
    def _base(self) -> str:
        servers = self.document.get("servers") or [{}]
        return self.base_url or str(servers[0].get("url", ""))

    @property
    def _host(self) -> str:
        return urlsplit(self._base).netloc

    def _request(self, call: Call) -> dict[str, Any]:
        """What httpx needs. Raises BadInput for a call that is none of these operations', or not in form."""
        if call.name not in self._operations:
            raise BadInput(f"API {self.name!r} has no operation {call.name!r}")
        if call.malformed:
            raise BadInput(f"the arguments are not valid JSON: {call.malformed}")
        operation = self._operations[call.name]
        faults = jsonschema.Draft202012Validator(operation.schema).iter_errors(dict(call.arguments))
        said = [f"{'.'.join(map(str, fault.path)) or 'the call'}: {fault.message}" for fault in faults]
        if said:
            raise BadInput(f"bad arguments: {'; '.join(said[:5])}")
        path, query, headers, body = operation.path, [], {}, {}
        for name, value in call.arguments.items():
            place, own = operation.places[name]
            match place:
                case "path":
                    path = path.replace(f"{{{own}}}", _segment(value, own))
                case "query":
                    values = value if isinstance(value, list) else [value]
                    query += [(own, _text(each)) for each in values]
                case "header":
                    headers[own] = _header(value, own)
                case _:
                    body[own] = value
        request: dict[str, Any] = {
            "method": operation.method.upper(),
            "url": urljoin(self._base.rstrip("/") + "/", path.lstrip("/")),
            "params": query,
            "headers": headers,
        }
        if operation.body == "whole" and "body" in body:
            request["json"] = body["body"]
        elif operation.body:
            request["json"] = body
        return request


def _segment(value: Any, name: str) -> str:
    """A value as one segment of a path; dots alone would climb."""
    text = _text(value)
    if text in {"", ".", ".."}:
        raise BadInput(f"{name} cannot be {text!r}")
    return quote(text, safe="")


def _header(value: Any, name: str) -> str:
    text = _text(value)
    if any(ord(letter) < 32 or ord(letter) > 126 for letter in text):  # noqa: PLR2004 - printable ASCII
        raise BadInput(f"{name} goes into a header: plain letters only")
    return text


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _result(call: Call, answer: httpx.Response) -> Result:
    if answer.is_success:
        return Result(call_id=call.id, text=answer.text)
    said = answer.text[:_QUOTED]
    return _error(call, f"{call.name}: HTTP {answer.status_code} {answer.reason_phrase}: {said}".strip(": "))


def _error(call: Call, why: str) -> Result:
    return Result(call_id=call.id, text=why, is_error=True)
