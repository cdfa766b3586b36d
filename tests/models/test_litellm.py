import os
import subprocess
import sys

import pytest

from ctxeng import render
from ctxeng.models import transport
from ctxeng.turn import (
    Ask,
    Choice,
    Choices,
    Context,
    Message,
    Schema,
    Section,
    user,
)
from hosted import ADD, ANSWERERS, KEY, MARKS, ask_by, model

pytestmark = MARKS


def test_importing_does_not_import_litellm():
    code = "import sys, ctxeng.models.litellm; print('litellm' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_loading_leaves_the_environment_as_it_was():
    before = dict(os.environ)
    transport.load()
    assert dict(os.environ) == before


@pytest.mark.parametrize("how", ANSWERERS)
def test_text_streams_as_events_and_comes_back_whole_with_its_usage(wire, question, how):
    wire.say("Hello big world", thinking="hm")
    events = []
    answer = ask_by(how, model(wire), question, on_event=events.append)
    assert answer.text == "Hello big world"
    assert answer.finish == "stop"
    assert answer.model == "openai/tiny"
    usage = answer.usage["answer"]
    assert (usage.calls, usage.input, usage.output, usage.cached, usage.exact) == (1, 100, 7, 40, True)
    assert [event.type for event in events] == ["thinking", "text", "text", "text", "usage"]
    assert "".join(event.text for event in events if event.type == "text") == answer.text
    assert wire.requests[0]["messages"] == [{"role": "user", "content": "What is up?"}]
    assert wire.requests[0]["max_tokens"] == 1024
    assert wire.headers[0]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("stream", [True, False])
def test_usage_that_a_provider_does_not_report_is_counted_and_marked_as_an_estimate(wire, question, stream):
    wire.say("Hello big world", usage=None)
    target = model(wire, stream=stream)
    usage = target.answer(question, Ask()).usage["answer"]
    assert not usage.exact
    assert usage.input == target.price_context(question) > 0
    assert usage.output > 0


def test_an_answer_can_be_asked_for_in_one_piece(wire, question):
    wire.say("Hello big world").call(("add", '{"a": 1}'))
    whole = model(wire, stream=False)
    assert whole.answer(question, Ask()).text == "Hello big world"
    assert whole.answer(question, Ask()).calls[0].arguments == {"a": 1}
    assert "stream_options" not in wire.requests[0]


@pytest.mark.parametrize("stream", [True, False])
def test_tool_calls_arrive_with_their_arguments(wire, question, stream):
    wire.call(("add", '{"a": 1, "b": [2]}'), ("add", '{"a": 3}'))
    context = Context(sections=(Section(kind="tool", source="tools", body=ADD), *question.sections))
    events = []
    answer = model(wire, stream=stream).answer(context, Ask(tool_choice="required"), events.append)
    assert answer.finish == "calls"
    assert [(call.id, call.name, call.arguments) for call in answer.calls] == [
        ("call_0", "add", {"a": 1, "b": [2]}),
        ("call_1", "add", {"a": 3}),
    ]
    assert [event.call for event in events if event.type == "call"] == list(answer.calls)
    assert wire.requests[0]["tools"] == [render.tool_schema(ADD)]
    assert wire.requests[0]["tool_choice"] == "required"


@pytest.mark.parametrize("raw", ['{"a": 1, "b"', "[1, 2]", "plain words"])
def test_malformed_arguments_are_kept_as_they_came(wire, question, raw):
    wire.call(("add", raw))
    (call,) = model(wire).answer(question, Ask()).calls
    assert call.malformed == raw
    assert call.arguments == {}


def test_a_call_without_arguments_has_none(wire, question):
    wire.call(("now", ""))
    (call,) = model(wire).answer(question, Ask()).calls
    assert (call.arguments, call.malformed) == ({}, "")


def test_calls_and_results_go_back_in_the_providers_format(wire, question):
    wire.call(("add", '{"a": 1}')).say("three")
    target = model(wire)
    first = target.answer(question, Ask())
    result = Message(role="tool", parts=({"type": "result", "call_id": "call_0", "text": "1"},))
    steps = [Section(kind="step", source="loop", body=body) for body in (first.message, result)]
    assert target.answer(Context(sections=(*question.sections, *steps)), Ask()).text == "three"
    sent = wire.requests[1]["messages"]
    assert sent[1]["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 1}'}
    assert sent[2] == {"role": "tool", "tool_call_id": "call_0", "content": "1"}


def test_a_schema_goes_along_where_the_provider_takes_one(wire, question):
    want = Schema(json_schema={"type": "object", "properties": {"n": {"type": "integer"}}})
    wire.say('{"n": 3}').say('{"n": 3}')
    answer = model(wire, structured=True).answer(question, Ask(want=want))
    assert answer.parsed == {"n": 3}
    assert wire.requests[0]["response_format"]["json_schema"]["schema"] == want.json_schema
    model(wire).answer(question, Ask(want=want))
    assert "response_format" not in wire.requests[1]


def test_a_reply_of_another_form_is_not_parsed_and_not_lost(wire, question):
    wire.say("I would rather not").say("red")
    choices = Choices(options=(Choice(value="red"), Choice(value="green")))
    first = model(wire).answer(question, Ask(want=choices))
    assert (first.parsed, first.text) == (None, "I would rather not")
    assert model(wire).answer(question, Ask(want=choices)).parsed == "red"


def test_sampling_options_go_along(wire, question):
    wire.say("x").say("x")
    model(wire, temperature=0.3, extra={"extra_body": {"top_k": 5}}).answer(
        question, Ask(seed=7, stop=("END",), max_tokens=9)
    )
    sent = wire.requests[0]
    assert (sent["temperature"], sent["seed"], sent["stop"], sent["max_tokens"], sent["top_k"]) == (
        0.3,
        7,
        ["END"],
        9,
        5,
    )
    model(wire, temperature=0.3).answer(question, Ask(temperature=0.0))
    assert wire.requests[1]["temperature"] == 0.0


@pytest.mark.parametrize(("said", "finish"), [("length", "length"), ("content_filter", "filtered")])
def test_why_an_answer_ended_is_said(wire, question, said, finish):
    wire.say("cut", finish=said)
    assert model(wire).answer(question, Ask()).finish == finish


def test_an_estimate_learns_from_what_is_billed(wire):
    asked = Section(kind="query", source="request", body=user("What is up with this? " * 50))
    question = Context(sections=(asked,))
    wire.say("ok", usage=(600, 7, 0))
    target = model(wire)
    before = target.price_context(question)
    target.answer(question, Ask())
    assert before < 600 <= target.price_context(question)


def test_half_a_surrogate_pair_in_arguments_is_kept_as_malformed(wire, question):
    wire.call(("add", '{"a": "\\ud800"}'))
    (call,) = model(wire).answer(question, Ask()).calls
    assert call.malformed == '{"a": "\\ud800"}'
    call.model_dump_json().encode()
