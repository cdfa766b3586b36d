"""What a schema says without meaning anything to a caller: removed with no call accepted or refused anew."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ctxeng.retrieval.words import terms
from ctxeng.tools.trim_walk import ANNOTATIONS, Path, mentions, rebuilt, subschemas

Schema = dict[str, Any]

# keyword: the value that says what its absence says
_EMPTY: dict[str, Any] = {
    "default": None,
    "deprecated": False,
    "readOnly": False,
    "writeOnly": False,
    "nullable": False,
    "uniqueItems": False,
    "minItems": 0,
    "minLength": 0,
    "minProperties": 0,
    "required": [],
    "examples": [],
    "title": "",
    "description": "",
}
_FAMILY = {"integer": "number"}  # types whose values overlap
_OWN = {
    "string": {"minLength", "maxLength", "pattern"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "array": {"items", "minItems", "maxItems", "uniqueItems"},
    "object": {"properties", "required", "additionalProperties", "minProperties", "maxProperties"},
}
_DIALECT = re.compile(r"https?://json-schema\.org/draft(-07|/2019-09|/2020-12)/schema#?")
# keywords that mean the same in each of these dialects
_COMMON = ANNOTATIONS.union(
    ["$schema", "$ref", "$defs", "definitions", "type", "enum", "const", "not", "anyOf", "oneOf", "allOf"],
    ["if", "then", "else", "contains", "patternProperties", "propertyNames"],
    *_OWN.values(),
)
_REFERRING = ANNOTATIONS | {"$ref", "$schema", "$defs", "definitions"}
_FILLER = frozenset(["arguments", "args", "params", "parameters", "input", "schema", "model", "request"])
_ARTICLES = frozenset(["the", "a", "an", "of"])
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_a-zA-Z]+")
_BLANKS = re.compile(r"[ \t]+(?=\n|\Z)|\n(?=\n\n)")


def quiet(schema: Schema, about: str = "") -> Schema:
    """The schema without noise; every instance is accepted or refused as before.

    Gone are comments, values that repeat a default of JSON Schema, titles and descriptions that only repeat
    a name or what is said around them, the dialect where it changes nothing; unions of plain types are one
    list of types, a union of one is its member. `about` is the tool's description.
    """
    strict = mentions(schema, "unevaluatedProperties", "unevaluatedItems")  # these look into their siblings

    def edit(each: Schema, _: Path) -> Schema:
        each = each if strict else _joined(each)
        kept = {key: value for key, value in each.items() if not _says_nothing(key, value)}
        if not strict and kept.get("additionalProperties") in (True, {}) and not _optional(kept):
            del kept["additionalProperties"]
        if isinstance(kept.get("description"), str):
            kept["description"] = tidy(kept["description"])
        return _without_echoes(kept)

    found: Schema = rebuilt(schema, edit)
    if "$schema" in found and _same_everywhere(found):
        del found["$schema"]
    if not words_of(found.get("title")) - _words(_FILLER) - words_of(about):
        found.pop("title", None)
    if tidy(str(found.get("description", ""))) == tidy(about):
        found.pop("description", None)
    return found


def tidy(text: str) -> str:
    """The text without blanks at the ends of it and of its lines, and with one empty line at most."""
    return _BLANKS.sub("", text).strip()


def words_of(text: Any) -> set[str]:
    """The stems of all words of a text or name but articles; `before` and `not` count here."""
    return _words(_WORD.findall(text)) if isinstance(text, str) else set()


def _words(words: Iterable[str]) -> set[str]:
    return {stem for word in words if word.lower() not in _ARTICLES for stem in terms(word)}


def _says_nothing(key: str, value: Any) -> bool:
    if key == "$comment":
        return True
    # False == 0 in Python, not in JSON
    return key in _EMPTY and value == _EMPTY[key] and type(value) is type(_EMPTY[key])


def _optional(schema: Mapping[str, Any]) -> bool:
    """Whether it names optional properties: what it says of others then tells an open object from a list."""
    required = schema.get("required")
    properties = schema.get("properties")
    needed = set(required) if isinstance(required, list) else set()
    return isinstance(properties, Mapping) and not needed.issuperset(properties)


def _without_echoes(schema: Schema) -> Schema:
    """Parameters whose title or description only repeats their name, or the text above them."""
    if not isinstance(schema.get("properties"), Mapping):
        return schema
    above = schema.get("description")
    properties = {
        name: _unechoed(child, name, above) if isinstance(child, Mapping) else child
        for name, child in schema["properties"].items()
    }
    return schema | {"properties": properties}


def _unechoed(child: Mapping[str, Any], name: str, above: Any) -> Schema:
    kept, known = dict(child), words_of(name)
    about = kept.get("description")
    if isinstance(about, str) and (about == above or words_of(about) <= known):
        del kept["description"]
    title = kept.get("title")
    if isinstance(title, str) and words_of(title) <= known | words_of(kept.get("description")):
        del kept["title"]
    return kept


def _joined(schema: Schema) -> Schema:
    """A union of one as its member, and a union of types as a list of types."""
    every = schema.get("allOf")
    if isinstance(every, list) and len(every) == 1 and ANNOTATIONS.issuperset(schema.keys() - {"allOf"}):
        (only,) = every
        own = {key: value for key, value in schema.items() if key != "allOf"}
        return {**only, **own} if isinstance(only, dict) and "$ref" not in only else schema
    branches = schema.get("anyOf")
    if not isinstance(branches, list) or not ANNOTATIONS.issuperset(schema.keys() - {"anyOf"}):
        return schema
    if not all(isinstance(each, dict) and isinstance(each.get("type"), str) for each in branches):
        return schema
    kinds = [each["type"] for each in branches]
    rich = [each for each in branches if set(each) - {"type", "title"}]
    if len(rich) > 1 or (rich and not _apart(rich[0], kinds)):
        return schema
    about = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**(rich[0] if rich else {}), **about, "type": _one_or_all(kinds)}


def _one_or_all(kinds: list[str]) -> str | list[str]:
    found = list(dict.fromkeys(kinds))
    return found[0] if len(found) == 1 else found


def _apart(branch: Schema, kinds: list[str]) -> bool:
    """Whether all it asserts is of its own type, and no other branch has values of that type."""
    own: str = branch["type"]
    family = _FAMILY.get(own, own)
    others = {_FAMILY.get(kind, kind) for kind in kinds if kind != branch["type"]}
    alone = kinds.count(branch["type"]) == 1 and family not in others
    return alone and set(branch) <= ANNOTATIONS | {"type"} | _OWN.get(family, set())


def _same_everywhere(schema: Schema) -> bool:
    """Whether it means the same in every dialect of today, so that naming one changes nothing."""
    return _DIALECT.fullmatch(str(schema["$schema"])) is not None and all(
        _COMMON.issuperset(each)
        and not isinstance(each.get("items"), list)
        and (
            "$ref" not in each
            or ANNOTATIONS.union(["$ref", "$schema", "$defs", "definitions"]).issuperset(each)
        )
        for each in subschemas(schema)
    )
