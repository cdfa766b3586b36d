"""Optional parameters: which can be dropped so that no call is accepted or refused for the wrong reason.

Dropping a parameter from a schema that is open to undeclared ones would accept any value under its name. So
the object is closed with it (`additionalProperties: false`), and the undeclared are reported as dropped too.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ctxeng.tools.trim_walk import ANNOTATIONS, mentions

Schema = dict[str, Any]
Way = tuple[str, ...]  # names of parameters from the root; EACH stands for the items of an array

EACH = "\0items"
REST = "\0rest"  # at the end of a way: the parameters that the schema does not declare

_PLAIN = ANNOTATIONS.union(
    ["$schema", "$id", "$defs", "definitions", "type", "properties", "required", "additionalProperties"],
    ["minProperties", "maxProperties", "propertyNames", "items", "minItems", "maxItems", "uniqueItems"],
    ["minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
    ["multipleOf"],
)
_COMBINED = ("anyOf", "oneOf", "allOf")
_CONDITIONS = ("not", "if", "then", "else")
_DEPENDENT = ("dependentRequired", "dependencies")
_CLOSING = len('"additionalProperties": false')
_BRANCH = ANNOTATIONS.union(["type", "required", "properties"], _COMBINED, _CONDITIONS, _DEPENDENT)
_STEP = re.compile(r"\[\]|\*|(?:\\.|[^\\.\[\]*])+", re.DOTALL)
_MARKS = re.compile(r"([\\.\[\]*])")


@dataclass(frozen=True)
class Optional:
    """A parameter that may go: its schema's size in characters, and how much is said of its use."""

    way: Way
    size: int
    use: int
    deprecated: bool = False

    @property
    def order(self) -> tuple[bool, float, Way]:
        """Deprecated ones first, then the longest for what is said of them."""
        return not self.deprecated, -self.size / (1 + self.use), self.way


def optionals(schema: Schema, about: str, keep: Collection[str] = ()) -> list[Optional]:
    """The parameters that may be dropped, in the order in which they should be.

    `keep` has names or dotted paths (`filter.since`, `rows[].id`) that stay, and with them what is around
    them. None may go where the schema refers to itself as a whole: a change at the root is one everywhere.
    """
    if mentions(schema, "$ref") and '"$ref": "#"' in json.dumps(schema):
        return []
    found = [
        Optional(way, len(json.dumps(child)), _use(way[-1], child, about), _deprecated(child))
        for way, child in _droppable(schema, ())
        if not _kept(way, keep)
    ]
    saved: Counter[Way] = Counter()
    for each in found:
        saved[each.way[:-1]] += each.size + len(each.way[-1])
    # closing an object for less than it costs to say so would not pay
    return sorted((each for each in found if saved[each.way[:-1]] > _CLOSING), key=lambda each: each.order)


def without(schema: Schema, ways: Iterable[Way]) -> tuple[Schema, tuple[Way, ...]]:
    """The schema without the parameters, and what it lost: the outermost of them, and what was shut out."""
    gone = set(ways)
    gone = {way for way in gone if not any(way[:end] in gone for end in range(1, len(way)))}
    lost: list[Way] = []
    return _without(schema, (), gone, lost), tuple(lost)


def written(way: Way) -> str:
    """A way as a dotted path: `filter.since`, `rows[].id`, and `filter.*` for undeclared parameters."""
    text = ""
    for name in way:
        step = {EACH: "[]", REST: "*"}.get(name) or _MARKS.sub(r"\\\1", name)
        text += step if name == EACH or not text else f".{step}"
    return text


def read(path: str) -> Way:
    """The way that a dotted path writes."""
    special = {"[]": EACH, "*": REST}
    steps = (match[0] for match in _STEP.finditer(path))
    return tuple(special.get(step) or re.sub(r"\\(.)", r"\1", step, flags=re.DOTALL) for step in steps)


def stripped(value: Any, schema: Any, ways: Collection[Way]) -> Any:
    """A call's arguments without what was dropped at these ways; `schema` is the trimmed one."""
    if not ways or not isinstance(schema, Mapping):
        return value
    if isinstance(value, list):
        inner = _after(EACH, ways)
        return [stripped(each, schema.get("items"), inner) for each in value]
    if not isinstance(value, Mapping):
        return value
    declared = schema.get("properties", {})
    shut = (REST,) in ways
    return {
        name: stripped(each, declared.get(name), _after(name, ways))
        for name, each in value.items()
        if (name,) not in ways and (name in declared or not shut)
    }


def _after(name: str, ways: Collection[Way]) -> list[Way]:
    return [way[1:] for way in ways if len(way) > 1 and way[0] == name]


def _droppable(schema: Any, way: Way) -> Iterator[tuple[Way, Any]]:
    """Ways to parameters that nothing but their own object looks at; unsafe parts are passed over."""
    seen = _looked_at(schema)
    if seen is None:
        return
    properties = schema.get("properties", {})
    free = set(properties) - seen - set(schema.get("required", ())) if _closable(schema, seen) else set()
    for name, child in properties.items():
        if name and name in free:
            yield (*way, name), child
        if name not in seen:
            yield from _droppable(child, (*way, name))
    # items that differ only in what is dropped would be equal afterwards
    if not schema.get("uniqueItems"):
        yield from _droppable(schema.get("items"), (*way, EACH))


def _looked_at(schema: Any) -> set[str] | None:
    """Names of parameters on which conditions of this schema depend; None where that cannot be told."""
    if not isinstance(schema, Mapping):
        return None
    if not _PLAIN.union(_COMBINED, _CONDITIONS, _DEPENDENT).issuperset(schema):
        return None
    if not _well_formed(schema):
        return None
    parts = {key: schema[key] for key in (*_COMBINED, *_CONDITIONS, *_DEPENDENT) if key in schema}
    return _named(parts)


def _named(branch: Any) -> set[str] | None:
    """Names that a condition speaks of; None where it says something of all parameters."""
    if isinstance(branch, bool):
        return set()
    if not isinstance(branch, Mapping) or not _BRANCH.issuperset(branch) or not _well_formed(branch):
        return None
    names = {*branch.get("required", ()), *branch.get("properties", ())}
    inner: list[Any] = [each for key in _COMBINED for each in branch.get(key, ())]
    inner += [branch[key] for key in _CONDITIONS if key in branch]
    for key in _DEPENDENT:
        for name, needed in branch.get(key, {}).items():
            if not isinstance(needed, list):
                return None
            names |= {name, *needed}
    for each in inner:
        found = _named(each)
        if found is None:
            return None
        names |= found
    return names


def _well_formed(schema: Mapping[str, Any]) -> bool:
    """Whether the keywords read here have the form that JSON Schema gives them."""
    required = schema.get("required", [])
    return (
        isinstance(schema.get("properties", {}), Mapping)
        and isinstance(required, list)
        and all(isinstance(name, str) for name in required)
        and isinstance(schema.get("minProperties", 0), int)
        and all(isinstance(schema.get(key, []), list) for key in _COMBINED)
        and all(isinstance(schema.get(key, {}), Mapping) for key in _DEPENDENT)
    )


def _closable(schema: Mapping[str, Any], seen: set[str]) -> bool:
    """Whether refusing undeclared parameters, and having fewer of the others, refuses no call."""
    required = set(schema.get("required", ()))
    return (
        schema.get("additionalProperties", False) is False
        and required | seen <= set(schema.get("properties", {}))
        and schema.get("minProperties", 0) <= len(required)
    )


def _without(schema: Schema, way: Way, gone: set[Way], lost: list[Way]) -> Schema:
    if not any(each[: len(way)] == way for each in gone):
        return schema
    out = dict(schema)
    properties = schema.get("properties", {})
    here = [name for name in properties if (*way, name) in gone]
    if properties:
        out["properties"] = {
            name: _without(child, (*way, name), gone, lost) if isinstance(child, dict) else child
            for name, child in properties.items()
            if name not in here
        }
    lost += [(*way, name) for name in here]
    if here and "additionalProperties" not in schema:
        out["additionalProperties"] = False
        lost.append((*way, REST))
    if isinstance(schema.get("items"), dict):
        out["items"] = _without(schema["items"], (*way, EACH), gone, lost)
    return out


def _kept(way: Way, keep: Collection[str]) -> bool:
    path = written(way)
    around = tuple(f"{path}{mark}" for mark in (".", "[]"))
    return way[-1] in keep or any(each == path or each.startswith(around) for each in keep)


def _use(name: str, child: Any, about: str) -> int:
    """How much is said of its use: mentions in the tool's description, a description of its own."""
    said = isinstance(child, Mapping) and bool(child.get("description"))
    return said + 2 * len(re.findall(rf"(?<!\w){re.escape(name)}(?!\w)", about))


def _deprecated(child: Any) -> bool:
    return isinstance(child, Mapping) and child.get("deprecated") is True
