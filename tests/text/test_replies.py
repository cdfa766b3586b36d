import pytest
from pydantic import BaseModel, TypeAdapter

from ctxeng.errors import BadReply
from ctxeng.models.scripted import ScriptedModel
from ctxeng.text.replies import (
    Unrepaired,
    ask_json,
    choice_schema,
    find_json,
    parse,
    read_choice,
    read_json,
)
from ctxeng.turn import Ask, Choice, Choices, FreeText, Schema


class Finding(BaseModel, extra="forbid"):
    cause: str
    count: int = 0


FINDING = TypeAdapter(Finding)
COLOURS = Choices(options=(Choice(value="red"), Choice(value="dark red"), Choice(value="None of these")))


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [1, null]}',
        ' \n{"a": [1, null]}\n',
        '```json\n{"a": [1, null]}\n```',
        'Here it is:\n\n```\n{"a": [1, null]}\n```\nHope that helps!',
    ],
)
def test_json_is_found_as_the_whole_text_or_in_its_fence(text):
    assert find_json(text) == {"a": [1, None]}


def test_a_fence_inside_a_string_is_text():
    assert find_json('{"code": "```python\\nx\\n```"}') == {"code": "```python\nx\n```"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("Sure! {'a': 1}", "not JSON"),
        ('The answer is {"a": 1}', "not JSON"),
        ('{"a": NaN}', "NaN"),
        ("```\n1\n```\n```\n2\n```", "2 fenced blocks"),
        ("[" * 100_000, "not usable|not JSON"),
        ("1" * 10_000, "not usable"),
    ],
)
def test_what_is_not_json_is_refused_with_the_reason(text, why):
    with pytest.raises(BadReply, match=why):
        find_json(text)


def test_a_value_is_validated_and_every_fault_named_with_its_place():
    assert read_json('{"cause": "x"}', FINDING) == Finding(cause="x")
    with pytest.raises(BadReply, match=r"cause: Field required; count: .*integer.*; extra: Extra inputs"):
        read_json('{"count": "many", "extra": 1}', FINDING)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("red", "red"),
        (" Dark  Red.\n", "dark red"),
        ('"dark red"', "dark red"),
        ("**red**", "red"),
        ('{"choice": "red"}', "red"),
        ('```json\n{"choice": "dark red"}\n```', "dark red"),
        ("It looks dark.\n\nAnswer: dark red", "dark red"),
        ("none of these", "None of these"),
    ],
)
def test_a_choice_is_read_bare_quoted_or_as_json(text, value):
    assert read_choice(text, COLOURS) == value


@pytest.mark.parametrize("text", ["", "blue", "red or dark red", "not red at all", '{"colour": "red"}'])
def test_a_reply_that_names_no_single_option_is_refused(text):
    with pytest.raises(BadReply, match="none of the options \\(red, dark red"):
        read_choice(text, COLOURS)


def test_parse_follows_what_was_wanted():
    assert parse("anything", FreeText()) is None
    assert parse("red", COLOURS) == "red"
    assert parse("[1]", Schema(json_schema={})) == [1]


def test_a_choice_has_a_schema():
    assert choice_schema(COLOURS)["properties"]["choice"]["enum"] == ["red", "dark red", "None of these"]


def test_a_good_reply_needs_one_call(question):
    model = ScriptedModel(['{"cause": "rain"}'])
    value, usage = ask_json(model, question, Ask(), FINDING)
    assert value == Finding(cause="rain")
    assert usage.calls == 1
    assert model.asks[0].want.json_schema["properties"].keys() == {"cause", "count"}


def test_a_bad_reply_goes_back_once_with_what_was_wrong(question):
    model = ScriptedModel(['{"count": 1}', '{"cause": "rain", "count": 1}'])
    value, usage = ask_json(model, question, Ask(), FINDING)
    assert value.cause == "rain"
    assert usage.calls == 2
    said, asked = (section.body.text for section in model.seen[1].sections[-2:])
    assert said == '{"count": 1}'
    assert "cause: Field required" in asked


def test_twice_bad_is_an_error_that_says_what_it_cost(question):
    model = ScriptedModel(["rain", "still rain"])
    with pytest.raises(Unrepaired, match="asked twice") as error:
        ask_json(model, question, Ask(), FINDING, role="reflect")
    assert error.value.usage.calls == 2
    assert isinstance(error.value, BadReply)


def test_where_the_window_is_full_nothing_is_asked_again(question):
    model = ScriptedModel(["rain " * 30], window=60)
    with pytest.raises(Unrepaired, match="no room") as error:
        ask_json(model, question, Ask(max_tokens=30), FINDING)
    assert error.value.usage.calls == 1
