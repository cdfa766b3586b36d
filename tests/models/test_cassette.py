import asyncio
import json
import multiprocessing
import time

import pytest

from ctxeng.errors import BadInput, CassetteMiss, RateLimited
from ctxeng.models.cassette import Cassette
from ctxeng.models.scripted import ScriptedModel
from ctxeng.protocols import Event
from ctxeng.turn import Ask, Call, Context, Message, Schema, Section, Tool, user

KEY = "sk-thisisaverysecretkey123"


def asking(*texts, tools=()):
    sections = [Section(kind="tool", source="tools", body=tool) for tool in tools]
    sections += [Section(kind="message", source="memory", body=user(text)) for text in texts[:-1]]
    return Context(sections=(*sections, Section(kind="query", source="request", body=user(texts[-1]))))


def test_what_was_recorded_is_replayed_without_the_model(tmp_path):
    call = Call(id="1", name="add", arguments={"a": [1, "\u20ac"]})
    said = Message(role="assistant", parts=(*user("let me see").parts, call))
    recorded, replayed = [], []
    first = Cassette(tmp_path / "c.jsonl", ScriptedModel([said], window=9_000)).answer(
        asking("hi"), Ask(), recorded.append
    )
    again = Cassette(tmp_path / "c.jsonl")
    assert again.answer(asking("hi"), Ask(), replayed.append) == first
    assert replayed == recorded
    assert [event.type for event in replayed] == ["text", "text", "text", "call", "usage"]
    assert (again.name, again.window) == ("scripted", 9_000)
    assert again.price(asking("hi").sections[0]) == ScriptedModel([]).price(asking("hi").sections[0])
    assert again.price_context(asking("hi")) == ScriptedModel([]).price_context(asking("hi"))


def test_equal_requests_replay_in_the_order_of_their_recording(tmp_path):
    tape = Cassette(tmp_path / "c.jsonl", ScriptedModel(["one", "two"]))
    assert [tape.answer(asking("hi"), Ask()).text for _ in range(2)] == ["one", "two"]
    again = Cassette(tmp_path / "c.jsonl", mode="replay")
    assert [again.answer(asking("hi"), Ask()).text for _ in range(2)] == ["one", "two"]
    with pytest.raises(CassetteMiss, match="recorded 2 times and is asked once more"):
        again.answer(asking("hi"), Ask())


def test_auto_asks_the_model_only_for_what_is_missing(tmp_path):
    Cassette(tmp_path / "c.jsonl", ScriptedModel(["one"])).answer(asking("hi"), Ask())
    model = ScriptedModel(["new"])
    tape = Cassette(tmp_path / "c.jsonl", model)
    assert [tape.answer(asking(text), Ask()).text for text in ("hi", "ho")] == ["one", "new"]
    assert len(model.seen) == 1


def test_replay_never_asks_the_model(tmp_path):
    model = ScriptedModel(["never"])
    with pytest.raises(CassetteMiss, match="nothing is recorded at all"):
        Cassette(tmp_path / "c.jsonl", model, mode="replay").answer(asking("hi"), Ask())
    assert model.seen == []


def test_record_asks_every_time_and_needs_a_model(tmp_path):
    Cassette(tmp_path / "c.jsonl", ScriptedModel(["one"])).answer(asking("hi"), Ask())
    tape = Cassette(tmp_path / "c.jsonl", ScriptedModel(["two"]), mode="record")
    assert tape.answer(asking("hi"), Ask()).text == "two"
    with pytest.raises(ValueError, match="needs a model"):
        Cassette(tmp_path / "c.jsonl", mode="record")


def test_the_deadline_does_not_tell_requests_apart(tmp_path):
    Cassette(tmp_path / "c.jsonl", ScriptedModel(["one"])).answer(
        asking("hi"), Ask(deadline=time.monotonic())
    )
    assert Cassette(tmp_path / "c.jsonl").answer(asking("hi"), Ask(cancelled=lambda: False)).text == "one"


def test_a_miss_says_which_message_changed_and_how(tmp_path):
    history = "earlier " * 50
    tape = Cassette(tmp_path / "c.jsonl", ScriptedModel(["one", "two"]))
    tape.answer(asking("another", "conversation altogether"), Ask())
    tape.answer(asking(history, "How do I reset my password?"), Ask())
    with pytest.raises(CassetteMiss) as miss:
        Cassette(tmp_path / "c.jsonl").answer(asking(history, "How do I change my password?"), Ask())
    assert "message 2 (user) content: at character 9, recorded 'How do I reset my password?'" in str(
        miss.value
    )
    assert "asked 'How do I change my password?'" in str(miss.value)
    assert "message 1" not in str(miss.value)


def test_a_miss_says_which_part_of_the_ask_or_which_tool_changed(tmp_path):
    add, other = Tool(name="add", description="adds"), Tool(name="sub")
    model = ScriptedModel(["one"])
    Cassette(tmp_path / "c.jsonl", model).answer(asking("hi", tools=[add, other]), Ask(temperature=0.0))
    changed = add.model_copy(update={"description": "adds up"})
    ask = Ask(temperature=0.5, want=Schema(json_schema={"type": "object"}))
    with pytest.raises(CassetteMiss) as miss:
        Cassette(tmp_path / "c.jsonl", ScriptedModel([], name="new"), mode="replay").answer(
            asking("hi", tools=[changed, Tool(name="mul")]), ask
        )
    for line in (
        "model: recorded 'scripted', asked 'new'",
        "ask.temperature: recorded 0.0, asked 0.5",
        "ask.want: recorded {'type': 'text'}",
        "tool mul: new",
        "tool sub: gone",
        "tool add: at character",
    ):
        assert line in str(miss.value)


def test_no_secret_is_written(tmp_path):
    path = tmp_path / "c.jsonl"
    said = f"Your key is {KEY} and the word is swordfish, Authorization: Bearer abcdef0123456789"
    tape = Cassette(path, ScriptedModel([said]), secrets=("swordfish",))
    asked = asking(f"my key: {KEY}", "api_key=0123456789abcdef, the password is swordfish")
    events = []
    assert KEY in tape.answer(asked, Ask(), events.append).text
    written = path.read_text()
    for secret in (KEY, "swordfish", "abcdef0123456789", "0123456789abcdef"):
        assert secret not in written
    assert "[secret]" in Cassette(path, secrets=("swordfish",)).answer(asked, Ask()).text


def test_a_secret_spelled_out_over_several_pieces_of_a_stream_is_not_written_either(tmp_path):
    path = tmp_path / "c.jsonl"

    class Spelling(ScriptedModel):
        def answer(self, context, ask, on_event=None):
            answer = super().answer(context, ask)
            for character in answer.text:
                on_event(Event(type="text", text=character))
            return answer

    Cassette(path, Spelling([f"use {KEY} now"])).answer(asking("hi"), Ask())
    spelled = "".join(event["text"] for event in json.loads(path.read_text())["events"])
    assert spelled == "use [secret] now"


def test_a_new_key_in_the_request_is_no_new_request(tmp_path):
    Cassette(tmp_path / "c.jsonl", ScriptedModel(["one"])).answer(asking("use sk-abcdefghijkl1"), Ask())
    assert Cassette(tmp_path / "c.jsonl").answer(asking("use sk-zyxwvutsrqpo2"), Ask()).text == "one"


def test_errors_and_cancelled_answers_are_not_recorded(tmp_path):
    tape = Cassette(tmp_path / "c.jsonl", ScriptedModel([RateLimited("slow"), "one two", "fine"]))
    with pytest.raises(RateLimited):
        tape.answer(asking("hi"), Ask())
    assert tape.answer(asking("hi"), Ask(cancelled=lambda: True)).finish == "cancelled"
    assert not (tmp_path / "c.jsonl").exists()


def test_a_torn_last_line_costs_that_recording_only(tmp_path, caplog):
    path = tmp_path / "c.jsonl"
    tape = Cassette(path, ScriptedModel(["one", "two"]))
    for text in ("a", "b"):
        tape.answer(asking(text), Ask())
    path.write_bytes(path.read_bytes()[:-40])
    again = Cassette(path, ScriptedModel(["two again"]))
    assert [again.answer(asking(text), Ask()).text for text in ("a", "b")] == ["one", "two again"]
    last = Cassette(path)
    assert [last.answer(asking(text), Ask()).text for text in ("a", "b")] == ["one", "two again"]
    assert "line 2 is no exchange" in caplog.text


def test_without_a_recording_and_a_model_there_is_nothing_to_be(tmp_path):
    with pytest.raises(BadInput, match="no recording in this file"):
        Cassette(tmp_path / "none.jsonl").name  # noqa: B018


def test_it_can_be_awaited(tmp_path):
    tape = Cassette(tmp_path / "c.jsonl", ScriptedModel(["one"]))
    assert asyncio.run(tape.aanswer(asking("hi"), Ask())).text == "one"
    assert asyncio.run(Cassette(tmp_path / "c.jsonl").aanswer(asking("hi"), Ask())).text == "one"


def record(path, start):
    tape = Cassette(path, ScriptedModel(lambda context, ask: "x" * 5_000))
    for number in range(start, start + 20):
        tape.answer(asking(str(number)), Ask())


def test_several_processes_may_record_on_one_file(tmp_path):
    path = tmp_path / "c.jsonl"
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=record, args=(path, start)) for start in range(0, 80, 20)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    tape = Cassette(path)
    assert all(tape.answer(asking(str(number)), Ask()).text == "x" * 5_000 for number in range(80))
