"""Trimming a tool: what goes first, what stays, and where it stops."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxeng.errors import BadInput
from ctxeng.tools.trim import Trimmer
from ctxeng.tools.trim_noise import quiet
from ctxeng.tools.trim_optional import EACH, REST, read, written
from ctxeng.tools.trim_refs import resolved
from ctxeng.turn import Tool

POINT = {"type": "object", "properties": {"x": {"type": "number"}, "y": {"type": "number"}}}

LONG = {"type": "string", "enum": ["x" * 60]}


def tool(parameters, description="Does it."):
    return Tool(name="do_it", description=description, parameters=parameters)


def of(required=(), **properties):
    found = {"type": "object", "properties": properties}
    return found | ({"required": list(required)} if required else {})


def size(given):
    return len(json.dumps([given.description, given.parameters]))


def trimmed(parameters, tokens, description="Does it.", keep=()):
    return Trimmer().trim(tool(parameters, description), size, tokens, keep)


def test_a_tool_that_fits_is_returned_as_it_is():
    given = tool(of(a={"type": "string", "title": "A", "$comment": "x"}))
    found = Trimmer().trim(given, size, size(given))
    assert found.tool is given
    assert found.fits
    assert found.dropped == ()


def test_a_definition_used_once_is_put_in_its_place():
    given = of(at={"$ref": "#/$defs/Point", "description": "Where."}) | {"$defs": {"Point": POINT}}
    assert resolved(given) == of(at={**POINT, "description": "Where."})


def test_a_long_definition_used_often_stays_and_unused_ones_go():
    ref = {"$ref": "#/$defs/Point"}
    given = of(a=ref, b=ref, c=ref) | {"$defs": {"Point": POINT, "Gone": {"type": "null"}}}
    assert resolved(given) == of(a=ref, b=ref, c=ref) | {"$defs": {"Point": POINT}}


def test_definitions_in_a_cycle_stay_references():
    tree = of(next={"$ref": "#/$defs/Tree"}, at={"$ref": "#/$defs/Point"})
    given = of(root={"$ref": "#/$defs/Tree"}) | {"$defs": {"Tree": tree, "Point": POINT}}
    found = resolved(given)
    assert found["properties"]["root"] == {"$ref": "#/$defs/Tree"}
    assert found["$defs"] == {"Tree": of(next={"$ref": "#/$defs/Tree"}, at=POINT)}


@pytest.mark.parametrize(
    "odd",
    [
        {"$ref": "#/properties/a"},
        {"$ref": "other.json"},
        {"$id": "https://example.com/x", "$ref": "#/$defs/P"},
        {"$anchor": "here"},
    ],
)
def test_a_schema_with_references_to_its_inside_keeps_its_structure(odd):
    given = of(a={"type": "string", "title": "A"}, b=odd) | {"$defs": {"P": POINT}}
    found = trimmed(given, 1)
    assert found.tool.parameters == given
    assert not found.fits


def test_a_reference_with_an_assertion_beside_it_stays_because_older_drafts_ignore_that():
    given = of(a={"$ref": "#/$defs/P", "minProperties": 1}) | {"$defs": {"P": POINT}}
    assert resolved(given) == given


def test_noise_goes_and_data_that_looks_like_it_stays():
    given = of(
        title={"type": "string", "title": "Title", "description": "The title."},
        kind={"const": {"title": "x", "$comment": "y"}, "$comment": "z", "default": None},
        before_date={"type": "string", "description": "Before date", "title": "Not the date"},
    )
    assert quiet({**given, "title": "DoItArguments"}, "Do it.") == of(
        title={"type": "string"},
        kind={"const": {"title": "x", "$comment": "y"}},
        before_date={"type": "string", "title": "Not the date"},
    )


def test_an_open_object_with_optional_parameters_still_says_that_more_is_welcome():
    assert quiet({**of(a={}), "additionalProperties": True})["additionalProperties"] is True
    assert "additionalProperties" not in quiet({**of(["a"], a={}), "additionalProperties": True})


@pytest.mark.parametrize(
    ("branches", "joined"),
    [
        ([{"type": "string"}, {"type": "null"}], {"type": ["string", "null"]}),
        (
            [{"type": "string", "minLength": 1}, {"type": "null"}],
            {"type": ["string", "null"], "minLength": 1},
        ),
        ([{"type": "integer", "minimum": 1}, {"type": "number"}], None),
        ([{"type": "string", "minLength": 1}, {"type": "string"}], None),
        ([{"type": "string", "enum": ["a"]}, {"type": "null"}], None),
    ],
)
def test_a_union_of_types_is_joined_only_where_it_means_the_same(branches, joined):
    assert quiet({"anyOf": branches}) == (joined or {"anyOf": branches})


def test_the_dialect_goes_only_where_every_dialect_reads_the_schema_alike():
    named = {"$schema": "http://json-schema.org/draft-07/schema#"}
    assert quiet({**named, **of(a={"type": "string"})}) == of(a={"type": "string"})
    listed = {**named, **of(a={"type": "array", "items": [{"type": "string"}]})}
    assert quiet(listed) == listed


def test_sentences_with_numbers_names_and_obligations_outlast_others():
    about = "Sets the limit. It is quite a nice thing to have. Must be 1 to 50. People like it."
    given = of(["limit"], limit={"type": "integer", "description": about})
    found = trimmed(given, size(tool(given)) - 30)
    assert found.tool.parameters["properties"]["limit"]["description"] == "Sets the limit. Must be 1 to 50."


def test_one_sentence_that_is_too_long_is_cut_at_a_word_and_others_are_not():
    about = "It goes " + "on and " * 60 + "on."
    found = Trimmer(longest=40, shortest=20).trim(tool(of(), about), size, 80)
    assert found.tool.description.endswith("…")
    assert len(found.tool.description) <= 40
    assert found.fits


def test_the_longest_optional_with_the_least_said_of_it_goes_first_and_never_a_required_one():
    given = of(
        ["need"],
        need={"type": "string", "enum": ["n" * 90]},
        used={"type": "string", "enum": ["u" * 90], "description": "How."},
        idle={"type": "string", "enum": ["i" * 80]},
    )
    found = trimmed(given, size(tool(given, "Does it by `used`.")) - 60, "Does it by `used`.")
    assert found.dropped == ("idle", "*")
    smallest = trimmed(given, 1, "Does it by `used`.")
    assert set(smallest.tool.parameters["properties"]) == {"need"}
    assert not smallest.fits


def test_what_is_to_be_kept_stays_with_what_is_around_it():
    inner = of(since=LONG, until=LONG)
    found = trimmed(of(filter=inner, other=LONG), 1, keep=["filter.since"])
    left = found.tool.parameters["properties"]
    assert set(left) == {"filter"}
    assert set(left["filter"]["properties"]) == {"since"}
    assert "other" in found.dropped


def test_nested_optionals_are_dropped_by_path_and_taken_out_of_calls():
    row = of(["id"], id={"type": "integer"}, note={"type": "string", "enum": ["x" * 99]})
    given = of(["rows"], rows={"type": "array", "items": row})
    found = trimmed(given, size(tool(given)) - 90)
    assert found.dropped == ("rows[].note", "rows[].*")
    call = {"rows": [{"id": 1, "note": "x", "more": 2}], "more": 3}
    assert found.without(call) == {"rows": [{"id": 1}], "more": 3}


@pytest.mark.parametrize(
    "condition",
    [
        {"patternProperties": {"^o": {"type": "string"}}},
        {"unevaluatedProperties": False},
        {"minProperties": 1},
        {"additionalProperties": {"type": "string"}},
        {"anyOf": [{"required": ["one"]}, {"required": ["two"]}]},
        {"not": {"required": ["one", "two"]}},
        {"dependentRequired": {"one": ["two"], "two": ["one"]}},
        {"if": {"properties": {"one": {"const": 1}}}, "then": {"required": ["two"]}},
        {"allOf": [{"additionalProperties": {"type": "string"}}]},
        {"enum": [{}, {"one": "x"}]},
        {"required": ["undeclared"]},
    ],
)
def test_parameters_that_a_condition_looks_at_are_not_dropped(condition):
    given = of(one=LONG, two=LONG) | condition
    assert set(trimmed(given, 1).tool.parameters["properties"]) == {"one", "two"}


def test_nothing_is_dropped_from_items_that_must_differ():
    rows = {"type": "array", "uniqueItems": True, "items": of(note=LONG)}
    assert trimmed(of(["rows"], rows=rows), 1).tool.parameters["properties"]["rows"] == rows


def test_what_unevaluated_properties_look_at_stays():
    given = {"allOf": [{"additionalProperties": True, "$comment": "x"}], "unevaluatedProperties": False}
    assert quiet(given) == {"allOf": [{"additionalProperties": True}], "unevaluatedProperties": False}


def test_a_parameter_that_no_condition_names_is_dropped_beside_those_it_does():
    given = of(one=LONG, two=LONG, three=LONG) | {"anyOf": [{"required": ["one"]}, {"required": ["two"]}]}
    assert set(trimmed(given, 1).tool.parameters["properties"]) == {"one", "two"}


def test_limits_that_contradict_each_other_are_refused():
    with pytest.raises(BadInput, match="shortest is 50"):
        Trimmer(longest=40, shortest=50)


@given(
    st.lists(st.sampled_from(["a", "a.b", "x[]", "*", "\\", "é", EACH]), min_size=1, max_size=5),
    st.booleans(),
)
def test_a_written_path_is_read_back(names, rest):
    way = (*names, REST) if rest else tuple(names)
    assert read(written(way)) == way
