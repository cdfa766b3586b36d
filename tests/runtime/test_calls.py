"""Tool calls out of text: golden strings of each family, and text that is none stays text."""

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
]


@pytest.mark.parametrize(("form", "text", "calls", "rest"), GOLDEN)
def test_calls_are_found_in_each_familys_form(form, text, calls, rest):
    left, found = parse(text, form)
    assert [(call.name, call.arguments) for call in found] == calls
    assert [call.id for call in found] == [f"call_{n + 1}" for n in range(len(calls))]
    assert left == rest


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
