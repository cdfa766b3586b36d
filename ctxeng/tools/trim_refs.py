"""References of a tool's schema: put in place where that is shorter, pruned where nothing uses them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ctxeng.tools.trim_walk import ANNOTATIONS, Path, mentions, rebuilt, subschemas

Schema = dict[str, Any]
Key = tuple[str, str]  # the container, "$defs" or "definitions", and the name in it

_HOLDERS = ("$defs", "definitions")
_LOCAL = re.compile(r"#/(\$defs|definitions)/([^/%~]+)")
_SCOPED = ("$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor")
_BESIDE = ANNOTATIONS | {"$ref", "$schema", "$id", *_HOLDERS}  # what may stand beside a reference


def self_contained(schema: Schema) -> bool:
    """Whether every reference is `#` or names a definition at the root, so that subschemas may be moved."""
    inner = list(subschemas(schema))[1:]
    if any("$id" in each or isinstance(each.get("id"), str) for each in inner) or mentions(schema, *_SCOPED):
        return False
    known = {f"#/{holder}/{name}" for holder, name in _definitions(schema)}
    references = [each["$ref"] for each in subschemas(schema) if "$ref" in each]
    return all(ref == "#" or (isinstance(ref, str) and ref in known and _key(ref)) for ref in references)


def resolved(schema: Schema) -> Schema:
    """The schema with definitions put in place of references wherever the whole gets shorter by it.

    Definitions that nothing refers to are gone; those in a cycle stay, and so do references with assertions
    beside them, which older drafts ignore. A schema that is not `self_contained` is returned as it is.
    """
    if not self_contained(schema):
        return schema
    schema = _pruned(schema)
    for key in _leaves_first(schema):
        schema = _pruned(_placed(schema, key))
    return schema


def _placed(schema: Schema, key: Key) -> Schema:
    body = schema.get(key[0], {}).get(key[1])
    if not isinstance(body, dict):
        return schema  # pruned, or a boolean: nothing is shorter than that
    reference = {"$ref": f"#/{key[0]}/{key[1]}"}
    uses = [each for each in subschemas(schema) if each.get("$ref") == reference["$ref"]]
    size, short = len(json.dumps(body)), len(json.dumps(reference))
    saved = size + len(key[1]) if all(_alone(each) for each in uses) else 0
    if len(uses) * (size - short) > saved:
        return schema

    def place(each: Schema, _: Path) -> Schema:
        if each.get("$ref") != reference["$ref"] or not _alone(each):
            return each
        return body | {name: value for name, value in each.items() if name != "$ref"}

    placed: Schema = rebuilt(schema, place)
    return placed


def _alone(each: Mapping[str, Any]) -> bool:
    return _BESIDE.issuperset(each)


def _leaves_first(schema: Schema) -> list[Key]:
    """The definitions outside every cycle, each after those that it refers to."""
    bodies = _definitions(schema)
    needs = {key: _referred(body) & bodies.keys() for key, body in bodies.items()}
    done: list[Key] = []
    while ready := [key for key in needs if key not in done and needs[key] <= set(done)]:
        done += ready
    return done


def _pruned(schema: Schema) -> Schema:
    """Without definitions that cannot be reached from the root."""
    bodies = _definitions(schema)
    reached: set[Key] = set()
    left = [_referred({key: value for key, value in schema.items() if key not in _HOLDERS})]
    while left:
        found = left.pop() - reached
        reached |= found
        left += [_referred(bodies[key]) for key in found if key in bodies]
    kept = {key: value for key, value in schema.items() if key not in _HOLDERS}
    count = Counter(holder for holder, _ in reached)
    for holder in _HOLDERS:
        if count[holder] and isinstance(schema.get(holder), dict):
            kept[holder] = {name: body for name, body in schema[holder].items() if (holder, name) in reached}
    # only those at the root can be referred to: see self_contained
    return _without_inner_definitions(kept)


def _without_inner_definitions(schema: Schema) -> Schema:
    def drop(each: Schema, path: Path) -> Schema:
        return {key: value for key, value in each.items() if key not in _HOLDERS} if path else each

    dropped: Schema = rebuilt(schema, drop)
    return dropped


def _definitions(schema: Schema) -> dict[Key, Any]:
    return {
        (holder, name): body
        for holder in _HOLDERS
        if isinstance(schema.get(holder), dict)
        for name, body in schema[holder].items()
    }


def _referred(body: Any) -> set[Key]:
    keys = (_key(each["$ref"]) for each in subschemas(body) if isinstance(each.get("$ref"), str))
    return {key for key in keys if key is not None}


def _key(ref: str) -> Key | None:
    found = _LOCAL.fullmatch(ref)
    return (found[1], found[2]) if found else None
