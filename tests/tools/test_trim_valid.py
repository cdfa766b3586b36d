"""The promise of trimming: no call is accepted or refused anew but for what was dropped."""

import json
import random
from collections import Counter

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.tools.trim import Trimmer
from ctxeng.turn import Tool

NAMES = ("a", "b", "c", "limit")
REFS = ("#/$defs/A", "#/$defs/B", "#/definitions/C", "#")
HOLDERS = ("$defs", "definitions")
SENTENCES = ("The owner.", "Must be 3 to 7.", "Some words that say little.", "limit", "a", "Only `x`.")
DIALECTS = (
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
)
SIMPLE = ("", "x", "xyz", 0, 1, 2.5, 9, True, False, None)
TYPES = ("string", "number", "integer", "boolean", "null", "array", "object")


class Maker:
    """Schemas, and values that they may well accept, of a seed: hypothesis' own draws are too slow here."""

    def __init__(self, seed):
        self.luck = random.Random(seed)
        self.dialect = self.luck.choice([None, *DIALECTS])

    def root(self):
        found = self.made(4)
        while "properties" not in found or self.luck.random() < 0.1:
            found = self.made(4)
        found |= {"$defs": {"A": self.schema(2), "B": self.schema(2)}, "definitions": {"C": self.schema(2)}}
        return found | ({"$schema": self.dialect} if self.dialect else {})

    def schema(self, depth):
        luck = self.luck
        kind = luck.choice(
            ["leaf", "leaf", "ref", "made", "made", "made"] if depth else ["leaf", "leaf", "ref"]
        )
        if kind == "made":
            return self.made(depth)
        if kind == "ref":
            beside = {"type": luck.choice(TYPES)} if luck.random() < 0.2 else {}
            return self.notes() | beside | {"$ref": luck.choice(REFS[: 3 if luck.random() < 0.8 else 4])}
        leaf = luck.choice(["type", "type", "sized", "enum", "const", "bare"])
        if leaf == "bare":
            return luck.choice([{}, True, False])
        found = {
            "type": {"type": luck.choice(TYPES)},
            "sized": {
                "type": luck.choice(TYPES),
                "minimum": luck.randint(0, 3),
                "minLength": luck.randint(0, 2),
            },
            "enum": {"enum": luck.sample(SIMPLE[:5], luck.randint(1, 3))},
            "const": {"const": luck.choice([{"title": "x"}, 1, "x"])},
        }[leaf]
        return found | self.notes()

    def notes(self):
        luck = self.luck
        found = {
            "title": luck.choice(["A", "Limit", "Something else"]),
            "description": " ".join(luck.choices(SENTENCES, k=luck.randint(0, 4))),
            "default": luck.choice(SIMPLE),
            "examples": luck.choices(SIMPLE, k=luck.randint(0, 2)),
            "$comment": "note",
            "deprecated": luck.random() < 0.5,
        }
        return {key: value for key, value in found.items() if luck.random() < 0.2}

    def named(self, make, names=NAMES, most=3):
        return {name: make() for name in self.luck.sample(names, self.luck.randint(1, min(most, len(names))))}

    def condition(self, depth):
        if self.luck.random() < 0.3:
            return self.schema(depth)
        found = {"required": self.names(), "properties": self.named(lambda: self.schema(depth), most=2)}
        return {key: value for key, value in found.items() if self.luck.random() < 0.6}

    def names(self):
        return self.luck.sample(NAMES, self.luck.randint(1, 2))

    def made(self, depth):
        luck, inner = self.luck, lambda: self.schema(depth - 1)
        kind = luck.choice(["object"] * 5 + ["array", "union", "member"])
        if kind == "union":
            return self.notes() | {"anyOf": [inner() for _ in range(luck.randint(1, 3))]}
        if kind == "member":
            return self.notes() | {"allOf": [inner()]}
        if kind == "array":
            listed = self.dialect in DIALECTS[:2] and luck.random() < 0.3  # gone from JSON Schema in 2020
            found = {"items": [inner()] if listed else inner(), "type": "array"}
            rare = {
                "uniqueItems": luck.random() < 0.5,
                "minItems": luck.randint(0, 2),
                "contains": inner(),
                "prefixItems": [inner()],
            }
            return self.notes() | found | self.few(rare, 0.15)
        found = {"type": luck.choice(["object", ["object", "null"]]), "properties": self.named(inner, most=4)}
        often = {
            "required": self.names()[:1],
            "additionalProperties": luck.choice([False, False, True, {}, {"type": "string"}]),
        }
        return (
            self.notes()
            | found
            | self.few(often, 0.4)
            | self.few(self.rare(depth), luck.choice([0, 0.06, 0.2]))
        )

    def few(self, found, share):
        return {key: value for key, value in found.items() if self.luck.random() < share}

    def rare(self, depth):
        luck, inner = self.luck, lambda: self.schema(min(depth - 1, 1))
        several = lambda: [self.condition(min(depth - 1, 1)) for _ in range(luck.randint(1, 2))]  # noqa: E731
        return {
            "minProperties": luck.randint(0, 2),
            "maxProperties": luck.randint(1, 3),
            "patternProperties": self.named(inner, ["^a", "b|c"]),
            "propertyNames": {"maxLength": 3},
            "dependentRequired": self.named(self.names),
            "dependentSchemas": self.named(inner),
            "dependencies": self.named(luck.choice([self.names, inner])),
            "anyOf": several(),
            "oneOf": several(),
            "allOf": several(),
            "not": self.condition(0),
            "if": self.condition(0),
            "then": self.condition(0),
            "else": self.condition(0),
            "unevaluatedProperties": luck.random() < 0.5,
            "unevaluatedItems": luck.random() < 0.5,
        }

    def value(self, schema, root, depth=0):  # noqa: PLR0911 - one return a kind of schema
        """A value that the schema may well accept."""
        luck = self.luck
        if not isinstance(schema, dict) or depth > 6 or luck.random() < 0.03:
            return luck.choice([*SIMPLE, {"a": 1}, {"limit": "x", "b": None}, [1, 1], []])
        if "enum" in schema or "const" in schema:
            return luck.choice(schema.get("enum") or [schema["const"]])
        if "$ref" in schema:
            at = root
            for part in schema["$ref"].split("/")[1:]:
                at = at[part]
            return self.value(at, root, depth + 1)
        branches = [each for key in ("anyOf", "oneOf", "allOf") for each in schema.get(key, [])]
        if branches and (not {"properties", "items"} & schema.keys() or luck.random() < 0.3):
            return self.value(luck.choice(branches), root, depth + 1)
        kinds = schema.get("type") or ["object", "object", "array", "string", "number"]
        kind = kinds if isinstance(kinds, str) else luck.choice([kinds[0], *kinds])
        if kind == "object":
            inner = schema.get("properties", {})
            names = [*schema.get("required", []), *luck.sample(list(inner), luck.randint(0, len(inner)))]
            names += luck.choices([*NAMES, "bcd"], k=luck.randint(0, 2)) if luck.random() < 0.3 else []
            return {name: self.value(inner.get(name), root, depth + 1) for name in sorted(set(names))}
        if kind == "array":
            inner = schema.get("items")
            inner = inner[0] if isinstance(inner, list) else inner
            return [self.value(inner, root, depth + 1) for _ in range(luck.randint(0, 2))]
        plain = {"string": "xyz", "number": 2.5, "integer": 9, "boolean": True, "null": None}
        return plain.get(kind, "x")


def size(tool):
    return len(json.dumps([tool.description, tool.parameters]))


def validator(schema):
    kind = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
    return kind(schema)


def accepts(schema, value):
    try:
        return validator(schema).is_valid(value)
    except RecursionError:
        return False


def endless(root):
    """Whether a reference leads to itself at one and the same value: then no validator comes to an end."""
    at = {"#": root} | {f"#/{key}/{name}": root[key][name] for key in HOLDERS for name in root[key]}
    edges = {ref: set(in_place(schema)) for ref, schema in at.items()}
    for _ in edges:
        edges = {ref: found.union(*(edges[each] for each in found)) for ref, found in edges.items()}
    return any(ref in found for ref, found in edges.items())


def in_place(schema):
    """The references that a value given to the schema is given to as well."""
    for key, value in schema.items() if isinstance(schema, dict) else ():
        if key == "$ref":
            yield value
        elif key in {"not", "if", "then", "else"}:
            yield from in_place(value)
        elif key in {"anyOf", "oneOf", "allOf", "dependentSchemas", "dependencies"}:
            for each in value.values() if isinstance(value, dict) else value:
                yield from in_place(each)


def broken(full, trimmed, value):
    """What promise the value shows to be broken, if any."""
    if accepts(full, value) and not accepts(trimmed.tool.parameters, trimmed.without(value)):
        return "refuses a call"
    if accepts(trimmed.tool.parameters, value) and not accepts(full, value):
        return "accepts a call"
    return ""


def fault(seed, sizes=(0.0, 0.3, 0.5, 0.7, 0.9)):
    """The first broken promise of a seed's schema, and what kinds of call were seen."""
    maker = Maker(seed)
    full = maker.root()
    if endless(full):
        return set()
    tool = Tool(name="t", description="Does it. It says more.", parameters=full)
    before, seen = json.dumps(full), set()
    trimmed = Trimmer().trim(tool, size, int(maker.luck.choice(sizes) * size(tool)))
    assert json.dumps(full) == before
    for _ in range(8):
        value = maker.value(maker.luck.choice([full, trimmed.tool.parameters]), full)
        if isinstance(value, dict):
            found = broken(full, trimmed, value)
            assert not found, (found, full, trimmed, value)
            seen.add((accepts(full, value), bool(trimmed.dropped)))
    return seen


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(0, 10**9))
def test_a_trimmed_schema_accepts_a_call_without_what_was_dropped_and_no_call_that_the_full_one_refuses(seed):
    fault(seed)


def test_the_generated_calls_are_accepted_and_refused_with_and_without_dropped_parameters():
    counts = Counter(each for seed in range(150) for each in fault(seed))
    assert len(counts) == 4
    assert min(counts.values()) >= 10
