"""What a caller misses in a tool: a description, a valid schema, types and words for its parameters."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from jsonschema.validators import validator_for

from ctxeng.tokens import Estimate
from ctxeng.tools.lint_hidden import shown
from ctxeng.tools.trim_noise import words_of
from ctxeng.tools.trim_walk import located, subschemas
from ctxeng.turn import Tool

Fault = tuple[str, Literal["error", "warning", "note"], str]

_TYPING = {"type", "enum", "const", "$ref", "anyOf", "oneOf", "allOf", "$dynamicRef", "not", "if"}
_NAMED = 5  # parameters that one finding names; the others are counted


def schema_faults(tool: Tool, tokens: int, count: Callable[[str], int] | None = None) -> Iterator[Fault]:
    """Faults of the tool's description and schema."""
    words = tool.description.split()
    if not words:
        yield "no-description", "warning", "has no description"
    elif len(words) == 1:
        yield "no-description", "warning", f"its description is one word: {shown(tool.description)!r}"
    elif words_of(tool.description) <= words_of(tool.name):
        yield "no-description", "note", "its description only repeats its name"
    yield from _invalid(tool.parameters)
    yield from _parameters(tool.parameters)
    whole = json.dumps([tool.name, tool.description, tool.parameters], ensure_ascii=False)
    size = (count or Estimate().count)(whole)
    if size > tokens:
        yield "long-schema", "warning", f"has {size:,} tokens, more than {tokens:,}; trim it"


def _invalid(schema: dict[str, Any]) -> Iterator[Fault]:
    if schema.get("type") != "object":
        yield "invalid-schema", "error", "its parameters are not of type object"
    try:
        validator_for(schema, Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        where = "/".join(map(str, error.absolute_path)) or "the root"
        yield "invalid-schema", "error", f"no JSON Schema, at {shown(where, 60)}: {shown(error.message)}"
        return
    for each in subschemas(schema):
        ref = each.get("$ref")
        if isinstance(ref, str) and ref.startswith("#/") and not _leads(schema, ref):
            yield "invalid-schema", "error", f"a reference leads nowhere: {shown(ref)}"
        elif isinstance(ref, str) and not ref.startswith("#"):
            yield "remote-reference", "warning", f"refers to what is outside of it: {shown(ref)}"


def _leads(schema: Any, ref: str) -> bool:
    at = schema
    for part in ref[2:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(at, list) and key.isdigit() and int(key) < len(at):
            at = at[int(key)]
        elif isinstance(at, Mapping) and key in at:
            at = at[key]
        else:
            return False
    return True


def _parameters(schema: dict[str, Any]) -> Iterator[Fault]:
    untyped, undescribed = [], []
    for path, each in located(schema):
        if len(path) < 2 or path[-2] != "properties":  # noqa: PLR2004 - the keyword and a name
            continue
        name = ".".join(part for part in path if part not in {"properties", "items"}) or path[-1]
        if not _TYPING & each.keys():
            untyped.append(name)
        about = each.get("description") or each.get("title")
        if not (isinstance(about, str) and about.strip()) and "$ref" not in each:
            undescribed.append(name)
    if untyped:
        yield "untyped-parameter", "warning", f"no type: {_some(untyped)}"
    if undescribed:
        yield "undescribed-parameter", "note", f"no description: {_some(undescribed)}"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(shown(name, 60) for name in names[:_NAMED]) + more
