import asyncio
import importlib.util
import logging
import os
import subprocess
import sys
import threading
import time

import pytest

from ctxeng import render
from ctxeng.errors import ContextOverflow, MissingExtra, MissingKey, ModelError, RateLimited
from ctxeng.models import transport
from ctxeng.models.litellm import LiteLLMModel
from ctxeng.turn import (
    Ask,
    Choice,
    Choices,
    Context,
    Message,
    Opaque,
    Schema,
    Section,
    Text,
    Tool,
    assistant,
    user,
)

pytestmark = [
    pytest.mark.skipif(not importlib.util.find_spec("litellm"), reason="extra models is not installed"),
    # litellm's own types and habits, as pydantic 2.14 sees them
    pytest.mark.filterwarnings(
        "ignore:Accessing the 'model_.*' attribute on the instance:DeprecationWarning"
    ),
    pytest.mark.filterwarnings(
        "ignore:Item .* on TypedDict class .* is using the `ReadOnly` qualifier:UserWarning"
    ),
]

KEY = "sk-thisisaverysecretkey123"
ADD = Tool(name="add", description="adds", parameters={"type": "object", "properties": {"a": {}, "b": {}}})
ANSWERERS = ["answer", "aanswer"]


@pytest.fixture(scope="module", autouse=True)
def no_stray_loop():
    """After one asyncio.run, litellm's get_event_loop no longer makes a loop that nobody closes."""
    asyncio.run(asyncio.sleep(0))


def model(wire, **options):
    return LiteLLMModel("openai/tiny", base_url=wire.url, api_key=KEY, backoff=0.01, **options)


def ask_by(how, target, context, ask=None, on_event=None):
    if how == "answer":
        return target.answer(context, ask or Ask(), on_event)
    return asyncio.run(target.aanswer(context, ask or Ask(), on_event))


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


@pytest.mark.parametrize("how", ANSWERERS)
def test_a_rate_limit_is_waited_out_as_the_provider_says(wire, question, how):
    wire.fail(429, headers={"Retry-After": "0.3"}).say("now")
    start = time.monotonic()
    assert ask_by(how, model(wire), question).text == "now"
    assert time.monotonic() - start >= 0.3
    assert len(wire.requests) == 2


def test_a_rate_limit_that_stays_is_an_error_after_all_retries(wire, question):
    for _ in range(3):
        wire.fail(429)
    with pytest.raises(RateLimited):
        model(wire, retries=2).answer(question, Ask())
    assert len(wire.requests) == 3


def test_a_wait_longer_than_our_patience_is_an_error_at_once(wire, question):
    wire.fail(429, headers={"Retry-After": "3600"})
    with pytest.raises(RateLimited):
        model(wire).answer(question, Ask())
    assert len(wire.requests) == 1


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_error_is_tried_again(wire, question, status):
    wire.fail(status).fail(status).say("at last")
    assert model(wire).answer(question, Ask()).text == "at last"


@pytest.mark.parametrize("status", [403, 404, 422])
def test_an_error_of_ours_is_not_tried_again(wire, question, status):
    wire.fail(status, "nope")
    with pytest.raises(ModelError, match="nope"):
        model(wire).answer(question, Ask())
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    "said",
    [
        "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens.",
        "the request exceeds the available context size",
        "prompt is too long: 210000 tokens > 200000 maximum",
    ],
)
def test_a_prompt_that_is_too_long_has_an_error_of_its_own(wire, question, said):
    wire.fail(400, said)
    with pytest.raises(ContextOverflow):
        model(wire).answer(question, Ask())
    assert len(wire.requests) == 1


@pytest.mark.parametrize("how", ANSWERERS)
def test_a_wrong_key_names_the_variable_and_never_the_key(wire, question, how, caplog):
    wire.fail(401, f"Incorrect API key provided: {KEY}. Bearer {KEY}")
    target = model(wire)
    with (
        caplog.at_level(logging.DEBUG, logger="ctxeng"),
        pytest.raises(MissingKey, match="OPENAI_API_KEY") as error,
    ):
        ask_by(how, target, question)
    seen = f"{error.value}{target!r}" + "".join(
        record.getMessage() for record in caplog.records if record.name.startswith("ctxeng")
    )
    assert KEY not in seen
    assert len(wire.requests) == 1


def test_without_a_key_a_hosted_provider_is_never_asked(question, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(MissingKey, match="OPENAI_API_KEY"):
        LiteLLMModel("openai/gpt-4o-mini", retries=0).answer(question, Ask())


def test_a_key_of_the_environment_does_not_go_to_another_server(wire, question, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    wire.say("hello")
    LiteLLMModel("openai/tiny", base_url=wire.url).answer(question, Ask())
    assert KEY not in str(wire.headers[0])


@pytest.mark.parametrize("how", ANSWERERS)
@pytest.mark.parametrize("cut", ["dead", "clean"])
def test_a_stream_that_breaks_off_is_an_error_and_not_a_short_answer(wire, question, how, cut):
    wire.say("one two three four five six", cut=cut).say("must not be asked for")
    events = []
    with pytest.raises(ModelError):
        ask_by(how, model(wire), question, on_event=events.append)
    assert len(wire.requests) == 1
    assert [event.text for event in events] == ["one", " two"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("raw", ["{not json", "<html>gateway</html>", '{"id": "1", "choices": []}'])
def test_a_response_that_is_no_answer_is_tried_again_and_then_an_error(wire, question, raw, stream):
    wire.say(raw=raw).say("fine").say(raw=raw).say(raw=raw)
    target = model(wire, retries=1, stream=stream)
    assert target.answer(question, Ask()).text == "fine"
    with pytest.raises(ModelError):
        target.answer(question, Ask())
    assert len(wire.requests) == 4


@pytest.mark.parametrize("how", ANSWERERS)
def test_a_server_that_stays_silent_is_given_up_on(wire, question, how):
    wire.say("late", delay=0.8).say("in time")
    assert ask_by(how, model(wire, timeout=0.3), question).text == "in time"


def test_nobody_listening_at_the_address_is_an_error(question):
    target = LiteLLMModel("openai/tiny", base_url="http://127.0.0.1:9/v1", retries=1, backoff=0.01)
    with pytest.raises(ModelError):
        target.answer(question, Ask())


@pytest.mark.parametrize("how", ANSWERERS)
def test_a_caller_who_cancels_gets_what_was_said_so_far(wire, question, how):
    wire.say("one two three four five six", pause=0.05)
    heard = []
    ask = Ask(cancelled=lambda: len(heard) >= 2)
    answer = ask_by(how, model(wire), question, ask, heard.append)
    assert answer.finish == "cancelled"
    assert answer.text == "one two"


def test_a_caller_who_cancelled_before_costs_nothing(wire, question):
    answer = model(wire).answer(question, Ask(cancelled=lambda: True))
    assert answer.finish == "cancelled"
    assert wire.requests == []


def test_cancelling_ends_a_wait_between_attempts(wire, question):
    wire.fail(429, headers={"Retry-After": "20"})
    start = time.monotonic()
    ask = Ask(cancelled=lambda: time.monotonic() - start > 0.2)
    assert model(wire).answer(question, ask).finish == "cancelled"
    assert time.monotonic() - start < 5


def test_a_task_that_is_cancelled_stops(wire, question):
    wire.say("one two three", pause=5)

    async def run():
        task = asyncio.create_task(model(wire).aanswer(question, Ask()))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    start = time.monotonic()
    asyncio.run(run())
    assert time.monotonic() - start < 4


def test_the_deadline_holds_before_between_and_during_attempts(wire, question):
    with pytest.raises(ModelError, match="deadline"):
        model(wire).answer(question, Ask(deadline=time.monotonic() - 1))
    assert wire.requests == []
    wire.say("one two three four five six", pause=0.1)
    with pytest.raises(ModelError):
        model(wire).answer(question, Ask(deadline=time.monotonic() + 0.25))
    wire.fail(429, headers={"Retry-After": "30"})
    with pytest.raises(RateLimited):
        model(wire).answer(question, Ask(deadline=time.monotonic() + 1))


def test_several_threads_may_ask_at_once(wire, question):
    for _ in range(8):
        wire.say("hello")
    target, answers = model(wire), []
    threads = [
        threading.Thread(target=lambda: answers.append(target.answer(question, Ask()).text)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["hello"] * 8


def test_any_name_behind_an_address_is_openai_format(wire, question):
    wire.say("hello")
    target = LiteLLMModel("Qwen/Qwen2.5-7B-Instruct", base_url=wire.url)
    assert target.answer(question, Ask()).text == "hello"
    assert wire.requests[0]["model"] == "Qwen/Qwen2.5-7B-Instruct"
    assert target.window == 32_000


def test_window_and_price_come_from_litellms_table_unless_given(wire, question):
    assert LiteLLMModel("openai/gpt-4o-mini").window == 128_000
    assert LiteLLMModel("openai/gpt-4o-mini", window=9_000).window == 9_000
    wire.say("hello")
    answer = LiteLLMModel("openai/gpt-4o-mini", base_url=wire.url).answer(question, Ask())
    assert answer.usage["answer"].cost == pytest.approx(60 * 0.15e-6 + 40 * 0.075e-6 + 7 * 0.6e-6)


def test_cache_marks_are_placed_for_those_who_want_them_only():
    assert LiteLLMModel("anthropic/claude-sonnet-4-5").layout.cache_marks == 4
    assert LiteLLMModel("bedrock/anthropic.claude-3-haiku-20240307-v1:0").layout.cache_marks == 4
    assert LiteLLMModel("openai/gpt-4o-mini").layout.cache_marks == 0


def test_opaque_thinking_goes_back_to_its_own_provider_only(wire):
    blocks = [{"type": "thinking", "thinking": "hm", "signature": "abc"}]
    parts = (Opaque(provider="openai", payload={"thinking_blocks": blocks}), Text(text="so"))
    other = (Opaque(provider="anthropic", payload={"thinking_blocks": blocks}), Text(text="so"))
    for given in (parts, other):
        wire.say("x")
        context = Context(
            sections=tuple(
                Section(kind="message", source="memory", body=body)
                for body in (user("a"), Message(role="assistant", parts=given), user("b"))
            )
        )
        model(wire).answer(context, Ask())
    assert wire.requests[0]["messages"][1]["thinking_blocks"] == blocks
    assert wire.requests[1]["messages"][1] == {"role": "assistant", "content": "so"}


@pytest.mark.parametrize("bad", [{"retries": -1}, {"timeout": 0}, {"window": -5}])
def test_a_bad_option_is_an_error_at_construction(bad):
    with pytest.raises(ValueError, match="must"):
        LiteLLMModel("openai/tiny", **bad)


def test_without_litellm_the_error_is_the_pip_line(question, monkeypatch):
    transport.load.cache_clear()
    monkeypatch.setitem(sys.modules, "litellm", None)
    with pytest.raises(MissingExtra, match=r"pip install 'ctxeng-framework\[models\]'"):
        LiteLLMModel("openai/tiny").answer(question, Ask())
    transport.load.cache_clear()


def test_an_assistants_history_goes_along(wire, question):
    wire.say("x")
    said = Section(kind="message", source="memory", body=assistant("earlier"))
    model(wire).answer(Context(sections=(said, *question.sections)), Ask())
    assert [message["role"] for message in wire.requests[0]["messages"]] == ["assistant", "user"]
