"""Hosted models that fail: limits, errors, silence, cancelled callers, deadlines."""

import asyncio
import logging
import sys
import threading
import time

import pytest

from ctxeng.errors import ContextOverflow, MissingExtra, MissingKey, ModelError, RateLimited
from ctxeng.models import transport
from ctxeng.models.litellm import LiteLLMModel
from ctxeng.turn import (
    Ask,
    Context,
    Message,
    Opaque,
    Section,
    Text,
    assistant,
    user,
)
from hosted import ANSWERERS, KEY, MARKS, ask_by, model

pytestmark = MARKS


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
