"""Tool calls out of text: golden strings of each family, and text that is none stays text."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxeng.runtime.calls import CallStream, detect, parse

# ruff: noqa: E501 - golden strings are as long as they are
GOLDEN = [
    (
        "hermes",
        '<tool_call>\n{"name": "find", "arguments": {"q": "a<b"}}\n</tool_call>',
        [("find", {"q": "a<b"})],
        "",
    ),
    (
        "hermes",
        'I look.\n<tool_call>{"name": "a", "arguments": {}}</tool_call>\n<tool_call>{"name": "b", "arguments": "{\\"x\\": 1}"}</tool_call>',
        [("a", {}), ("b", {"x": 1})],
        "I look.",
    ),
    (
        "llama3",
        '{"name": "find", "parameters": {"q": {"deep": [1, 2]}}}',
        [("find", {"q": {"deep": [1, 2]}})],
        "",
    ),
    (
        "llama3",
        '<|python_tag|>{"name": "a", "parameters": {}}; {"name": "b", "parameters": {"n": 2}}',
        [("a", {}), ("b", {"n": 2})],
        "",
    ),
    (
        "mistral",
        '[TOOL_CALLS] [{"name": "a", "arguments": {"n": 1}}, {"name": "b", "arguments": {}}]',
        [("a", {"n": 1}), ("b", {})],
        "",
    ),
    (
        "mistral",
        'So: [TOOL_CALLS]find[ARGS]{"q": "x"}[TOOL_CALLS]get[ARGS]{}',
        [("find", {"q": "x"}), ("get", {})],
        "So:",
    ),
    (
        "hermes",
        '<tool_call>{"name": "say", "arguments": {"text": "}</tool_call>"}}</tool_call>',
        [("say", {"text": "}</tool_call>"})],
        "",
    ),
    (
        "llama3",
        '{"name": "a", "parameters": {}};\n',
        [("a", {})],
        "",
    ),
]
BROKEN = [
    ("hermes", '<tool_call>{"name": "find", "arguments": {</tool_call>'),
    ("hermes", '<tool_call>{"arguments": {}}</tool_call>'),
    ("hermes", '<tool_call>{"name": 3, "arguments": {}}</tool_call>'),
    ("hermes", '<tool_call>{"name": "find"'),
    ("llama3", '{"name": "find", "parameters": [1]}'),
    ("llama3", '{"city": "Oslo"}'),
    ("llama3", 'the object {"name": "find", "parameters": {}}'),
    ("mistral", '[TOOL_CALLS] [{"name": "a"'),
    ("mistral", "[TOOL_CALLS] nothing"),
    ("mistral", '[TOOL_CALLS] [{"name": 3, "arguments": "[TOOL_CALLS]evil[ARGS]{}"}]'),
    ("hermes", '<tool_call>{"name": "a", oh "<tool_call>{"name": "evil", "arguments": {}}</tool_call>'),
    ("hermes", '<tool_call>{"name": "a", "arguments": {"x": NaN}}</tool_call>'),
    ("hermes", '<tool_call>{"name": "a", "arguments": {"x": 1e999}}</tool_call>'),
    ("hermes", '<tool_call>{"name": "a", "arguments": {"x": "\\ud800"}}</tool_call>'),
    ("hermes", '<tool_call>{"name": "a", "arguments": {"x": ' + "[" * 400 + "]" * 400 + "}}</tool_call>"),
    ("hermes", '<tool_call>{"name": "a", "arguments": {"x": ' + "[" * 100_000),
    ("llama3", '{"name": ' + "[" * 100_000),
    ("mistral", "[TOOL_CALLS] [" + "[" * 100_000),
    ("llama3", '; {"name": "a", "parameters": {}}'),
]


@pytest.mark.parametrize(("form", "text", "calls", "rest"), GOLDEN)
def test_calls_are_found_in_each_familys_form(form, text, calls, rest):
    left, found = parse(text, form)
    assert [(call.name, call.arguments) for call in found] == calls
    numbered = "call{:05}" if form == "mistral" else "call_{}"
    assert [call.id for call in found] == [numbered.format(n + 1) for n in range(len(calls))]
    assert left == rest


def test_ids_that_the_model_gives_are_kept_unless_they_come_twice():
    _, found = parse(
        '[TOOL_CALLS] [{"name": "a", "arguments": {}, "id": "abc123XYZ"}, '
        '{"name": "b", "arguments": {}, "id": "abc123XYZ"}][TOOL_CALLS]c[CALL_ID]xyz456ABC[ARGS]{}',
        "mistral",
        first=4,
    )
    assert [call.id for call in found] == ["abc123XYZ", "call00005", "xyz456ABC"]


def test_ids_for_mistral_are_nine_letters_and_digits_as_its_templates_demand():
    _, (call,) = parse('[TOOL_CALLS] [{"name": "a", "arguments": {}}]', "mistral", first=12)
    assert call.id.isalnum()
    assert len(call.id) == 9


@pytest.mark.parametrize(("form", "text"), BROKEN)
def test_what_is_no_whole_call_stays_text(form, text):
    assert parse(text, form) == (text, ())


@pytest.mark.parametrize(("form", "text", "calls", "rest"), GOLDEN)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_stream_gives_the_text_and_keeps_the_calls(form, text, calls, rest, size):
    stream, given_out = CallStream(form), ""
    for at in range(0, len(text), size):
        given_out += stream.push(text[at : at + size])
    held, found = stream.finish()
    assert [(call.name, call.arguments) for call in found] == calls
    assert (given_out + held).strip() == rest


@given(st.text(), st.sampled_from(["hermes", "llama3", "mistral", None]), st.integers(1, 9))
def test_text_without_a_call_comes_out_as_it_is_however_it_is_cut(text, form, size):
    stream, given_out = CallStream(form), ""
    for at in range(0, len(text), size):
        given_out += stream.push(text[at : at + size])
    held, found = stream.finish()
    if not found:
        assert given_out + held == text


PIECES = st.sampled_from(
    [
        "<tool_call>",
        "</tool_call>",
        "[TOOL_CALLS]",
        "[ARGS]",
        "<|python_tag|>",
        '{"name": "a", "arguments": {}}',
        '[{"name": "a", "parameters": {"x": "y"}}]',
        "{",
        ";",
        " ",
        "find",
        "<tool",
        "\n",
    ]
)


@given(
    st.lists(PIECES, max_size=12).map("".join), st.sampled_from(["hermes", "llama3", "mistral"]), st.data()
)
def test_a_stream_finds_what_reading_the_whole_text_finds(text, form, data):
    stream, given_out = CallStream(form), ""
    rest = text
    while rest:
        size = data.draw(st.integers(1, 9))
        given_out += stream.push(rest[:size])
        rest = rest[size:]
    held, found = stream.finish()
    left, calls = parse(text, form)
    assert found == calls
    assert "".join((given_out + held).split()) == "".join(left.split())  # but for spaces around a call


@pytest.mark.parametrize(("form", "part"), [("hermes", "<tool_call>{"), ("mistral", "[TOOL_CALLS] [{")])
def test_a_text_full_of_marks_is_read_in_time(form, part):
    begun = time.process_time()
    assert parse(part * 5_000, form)[1] == ()
    assert time.process_time() - begun < 2  # s; by a regular expression it was the square of the length


def test_plain_text_is_not_held_back():
    assert CallStream("hermes").push("Hello") == "Hello"
    assert CallStream("llama3").push("Hello") == "Hello"
    assert CallStream("hermes").push("a <tool") == "a "


@pytest.mark.parametrize(
    ("template", "form"),
    [
        ("x [TOOL_CALLS] y", "mistral"),
        ("use <tool_call></tool_call>", "hermes"),
        ("<|python_tag|>", "llama3"),
        ("plain", None),
    ],
)
def test_the_form_is_told_by_the_template(template, form):
    assert detect(template) == form
