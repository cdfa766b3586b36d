import asyncio
import threading

import pytest

from ctxeng.errors import ModelError, RateLimited
from ctxeng.models.scripted import ScriptedModel
from ctxeng.protocols import Model
from ctxeng.turn import Answer, Ask, Call, Choice, Choices, Message, Schema, Usage, assistant


def test_replies_are_played_in_order_and_contexts_kept(question):
    model: Model = ScriptedModel(["one", assistant("two"), Answer(message=assistant("three"))])
    assert [model.answer(question, Ask(max_tokens=number)).text for number in (1, 2, 3)] == [
        "one",
        "two",
        "three",
    ]
    assert model.seen == [question] * 3
    assert [ask.max_tokens for ask in model.asks] == [1, 2, 3]


def test_an_exhausted_script_is_an_error_that_says_so(question):
    model = ScriptedModel(["only"], name="short")
    model.answer(question, Ask())
    with pytest.raises(ModelError, match="'short' is exhausted: all 1 replies"):
        model.answer(question, Ask())
    assert len(model.seen) == 1


def test_an_exception_in_the_script_is_raised(question):
    model = ScriptedModel([RateLimited("slow down"), "fine"])
    with pytest.raises(RateLimited):
        model.answer(question, Ask())
    assert model.answer(question, Ask()).text == "fine"


def test_a_function_may_decide_the_reply(question):
    model = ScriptedModel(lambda context, ask: f"{len(context.sections)} of {ask.max_tokens}")
    assert [model.answer(question, Ask(max_tokens=5)).text for _ in range(3)] == ["1 of 5"] * 3


def test_text_streams_in_words_then_calls_then_usage(question):
    call = Call(id="1", name="add", arguments={"a": 1})
    said = Message(role="assistant", parts=(*assistant("let me  see\n").parts, call))
    events = []
    answer = ScriptedModel([said]).answer(question, Ask(), events.append)
    assert answer.finish == "calls"
    assert [event.type for event in events] == ["text", "text", "text", "call", "usage"]
    assert "".join(event.text for event in events) == "let me  see\n"
    assert events[3].call == call
    assert events[4].usage == answer.usage["answer"]


@pytest.mark.parametrize("text", ["", " ", "\n\n a", "a\n", " a  b ", "\u3000x"])
def test_pieces_add_up_to_the_text(question, text):
    events = []
    ScriptedModel([text]).answer(question, Ask(), events.append)
    assert "".join(event.text for event in events) == text


def test_usage_is_counted_as_an_estimate_unless_given(question):
    model = ScriptedModel(
        ["four words of reply", Answer(message=assistant("x"), usage={"answer": Usage(input=5)})]
    )
    usage = model.answer(question, Ask()).usage["answer"]
    assert (usage.calls, usage.exact) == (1, False)
    assert usage.input == model.price_context(question) > 0
    assert usage.output >= 4
    assert model.answer(question, Ask()).usage["answer"].input == 5


def test_what_was_asked_for_is_parsed(question):
    choices = Choices(options=(Choice(value="red"), Choice(value="green")))
    model = ScriptedModel(["Green", '{"a": 1}', "no idea"])
    assert model.answer(question, Ask(want=choices)).parsed == "green"
    assert model.answer(question, Ask(want=Schema(json_schema={}))).parsed == {"a": 1}
    assert model.answer(question, Ask(want=choices)).parsed is None


def test_cancelling_cuts_the_answer_short(question):
    heard = []
    answer = ScriptedModel(["one two three"]).answer(
        question, Ask(cancelled=lambda: len(heard) > 1), heard.append
    )
    assert (answer.text, answer.finish) == ("one two", "cancelled")


def test_threads_share_one_script_without_losing_a_reply(question):
    model = ScriptedModel([str(number) for number in range(200)])
    said = []
    threads = [
        threading.Thread(target=lambda: said.extend(model.answer(question, Ask()).text for _ in range(50)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, said)) == list(range(200))


def test_it_can_be_awaited(question):
    assert asyncio.run(ScriptedModel(["hello"]).aanswer(question, Ask())).text == "hello"
