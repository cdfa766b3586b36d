"""An OpenAPI document's operations: where each parameter goes, and one schema of them all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ctxeng.errors import BadInput
from ctxeng.turn import Tool

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST = 64

Place = tuple[str, str]  # path, query, header or body; and the parameter's own name there


@dataclass(frozen=True)
class Operation:
    """One operation. `schema` is of all its parameters together, `places` says where each of them goes.

    `body` says whether there is none, one whose properties are parameters ("parts"), or one that is a
    parameter itself ("whole").
    """

    name: str
    method: str
    path: str
    about: str
    schema: dict[str, Any]
    places: Mapping[str, Place]
    body: Literal["", "parts", "whole"] = ""
    deprecated: bool = False

    def tool(self, server: str) -> Tool:
        """The operation as a tool of this server."""
        return Tool(name=self.name, description=self.about, parameters=self.schema, server=server)


def operations(document: Mapping[str, Any]) -> dict[str, Operation]:
    """All operations by name, deprecated ones last. Raises BadInput for a reference that leads nowhere."""
    found: dict[str, Operation] = {}
    for path, item in document["paths"].items():
        shared = _resolved(item, document)
        for method in _METHODS:
            if isinstance(shared.get(method), dict):
                operation = _operation(document, str(path), method, shared)
                name, number = operation.name, 2
                while name in found:
                    name, number = f"{operation.name[: _LONGEST - 4]}_{number}", number + 1
                found[name] = Operation(**{**vars(operation), "name": name})
    return dict(sorted(found.items(), key=lambda pair: pair[1].deprecated))


def _operation(document: Mapping[str, Any], path: str, method: str, item: Mapping[str, Any]) -> Operation:
    given = item[method]
    properties: dict[str, Any] = {}
    required: list[str] = []
    places: dict[str, Place] = {}
    body, parts = _body(document, given)
    for place, own, needed, schema in [*_parameters(document, item, given), *parts]:
        # the first of two parameters of one name keeps it; the other says where it goes
        name = own if own not in properties else f"{place}_{own}"
        properties[name], places[name] = schema, (place, own)
        required += [name] if needed else []
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = required
    said = [given.get("summary"), given.get("description")]
    return Operation(
        name=_UNFIT.sub("_", given.get("operationId") or f"{method}_{path}").strip("_")[:_LONGEST],
        method=method,
        path=path,
        about=". ".join(str(each).rstrip(".") for each in dict.fromkeys(said) if each),
        schema=schema,
        places=places,
        body=body,
        deprecated=bool(given.get("deprecated")),
    )


def _parameters(
    document: Mapping[str, Any], item: Mapping[str, Any], given: Mapping[str, Any]
) -> Iterator[tuple[str, str, bool, Any]]:
    """Place, name, whether required, and schema; an operation's own stand in for its path's."""
    merged: dict[tuple[str, str], Any] = {}
    for each in [*(item.get("parameters") or []), *(given.get("parameters") or [])]:
        parameter = _resolved(each, document)
        merged[str(parameter.get("in")), str(parameter.get("name"))] = parameter
    for (place, name), parameter in merged.items():
        if place not in {"path", "query", "header"}:
            continue  # cookies are the browser's
        content = next(iter((parameter.get("content") or {"": {}}).values()))
        schema = dict(_resolved(parameter.get("schema") or content.get("schema") or {}, document))
        if parameter.get("description"):
            schema["description"] = parameter["description"]
        yield place, name, place == "path" or bool(parameter.get("required")), schema


def _body(
    document: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[Literal["", "parts", "whole"], list[tuple[str, str, bool, Any]]]:
    """How the body is given, and its parts as parameters; only JSON is sent."""
    body = _resolved(given.get("requestBody") or {}, document)
    content = body.get("content") or {}
    kind = next((name for name in content if "json" in name), None)
    if kind is None:
        return "", []
    schema = _resolved(content[kind].get("schema") or {}, document)
    needed = bool(body.get("required"))
    if isinstance(schema.get("properties"), dict) and not {"allOf", "anyOf", "oneOf"} & set(schema):
        asked = schema.get("required") or []
        return "parts", [("body", name, name in asked, each) for name, each in schema["properties"].items()]
    return "whole", [("body", "body", needed, schema)]


def _resolved(value: Any, document: Mapping[str, Any], inside: tuple[str, ...] = ()) -> Any:
    """The value with every reference into the document put in its place; inside itself it means anything."""
    if isinstance(value, list):
        return [_resolved(each, document, inside) for each in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    if not isinstance(reference, str):
        return {key: _resolved(each, document, inside) for key, each in value.items()}
    if reference in inside:
        return {}
    target = _resolved(_target(reference, document), document, (*inside, reference))
    beside = {key: each for key, each in value.items() if key != "$ref"}
    return {**target, **beside} if isinstance(target, dict) else target


def _target(reference: str, document: Mapping[str, Any]) -> Any:
    found: Any = document
    for piece in reference.removeprefix("#/").split("/"):
        key = piece.replace("~1", "/").replace("~0", "~")
        if not reference.startswith("#/") or not isinstance(found, dict) or key not in found:
            raise BadInput(f"the document's reference {reference!r} leads nowhere; only its own are followed")
        found = found[key]
    return found
