"""A JSON Schema as a tree: where subschemas stand, and how to rebuild one without touching what is data.

`properties: {"title": ...}` is a parameter called title, `title: "..."` an annotation, and what stands in
`enum`, `const` or `default` is no schema at all: only a walk that knows the keywords can tell them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Path = tuple[str, ...]  # keys and indices from the root: ("properties", "rows", "items")
Edit = Callable[[dict[str, Any], Path], Any]

_SAID = ["title", "description", "default", "example", "examples", "$comment", "format"]
_FLAGS = ["deprecated", "readOnly", "writeOnly", "nullable"]
ANNOTATIONS = frozenset([*_SAID, *_FLAGS, "contentEncoding", "contentMediaType", "contentSchema"])
_REST = ["additionalProperties", "additionalItems", "unevaluatedItems", "unevaluatedProperties"]
ONE = frozenset([*_REST, "items", "contains", "propertyNames", "not", "if", "then", "else"])
LISTED = frozenset(["anyOf", "oneOf", "allOf", "prefixItems", "items"])
NAMED = frozenset(
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"]
)
_KINDS = {
    **dict.fromkeys(ONE, "one"),
    **dict.fromkeys(LISTED - ONE, "listed"),
    **dict.fromkeys(NAMED, "named"),
}


def rebuilt(schema: Any, edit: Edit, path: Path = ()) -> Any:
    """The schema with `edit` applied to each subschema that is an object, the innermost first."""
    if not isinstance(schema, Mapping):
        return schema
    inner = {key: _inside(key, value, edit, (*path, key)) for key, value in schema.items()}
    return edit(inner, path)


def _inside(key: str, value: Any, edit: Edit, path: Path) -> Any:
    kind = _KINDS.get(key)
    if kind is None:
        return value
    if isinstance(value, list) and key in LISTED:
        return [rebuilt(each, edit, (*path, str(index))) for index, each in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    if kind == "named":
        return {name: rebuilt(each, edit, (*path, name)) for name, each in value.items()}
    return rebuilt(value, edit, path) if kind == "one" else value


def located(schema: Any, path: Path = ()) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Each subschema that is an object and its path, the outermost first."""
    if not isinstance(schema, Mapping):
        return
    yield path, schema
    for key, value in schema.items():
        kind = _KINDS.get(key)
        if isinstance(value, list) and key in LISTED:
            for index, each in enumerate(value):
                yield from located(each, (*path, key, str(index)))
        elif isinstance(value, Mapping) and kind == "named":
            for name, each in value.items():
                yield from located(each, (*path, key, name))
        elif isinstance(value, Mapping) and kind == "one":
            yield from located(value, (*path, key))


def subschemas(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Each subschema that is an object, the outermost first."""
    return (each for _, each in located(schema))


def mentions(schema: Any, *keywords: str) -> bool:
    """Whether any of the keywords stands anywhere in the schema."""
    return any(keyword in each for each in subschemas(schema) for keyword in keywords)
