"""Memory in a turn: what was said comes back, what left the window is recalled, users stay apart."""

from __future__ import annotations

import sqlite3
from itertools import pairwise

import pytest

from ctxeng import render
from ctxeng.memory.compaction import Compaction
from ctxeng.memory.store import SqlStore
from ctxeng.memory.trigger import Condition
from ctxeng.models.scripted import ScriptedModel
from ctxeng.storage.sql import open_database
from ctxeng.turn import Scope, assistant, user
from remembering import COUNT, SCOPE, ask, looping, remembering, texts
from sessions import Recording


def test_the_next_turn_of_a_session_sees_what_was_said():
    model = ScriptedModel(["hello Ada", "you said your name is Ada"])
    app, _ = remembering(model)
    ask(app, "my name is Ada")
    ask(app, "what is my name?")
    assert texts(model.seen[1]) == ["my name is Ada", "hello Ada"]


def test_other_sessions_and_other_users_see_nothing_of_it():
    model = ScriptedModel(["hello"] * 3)
    app, _ = remembering(model)
    ask(app, "my name is Ada")
    ask(app, "who am I?", SCOPE.model_copy(update={"session": "tuesday"}))
    ask(app, "who am I?", SCOPE.model_copy(update={"user": "bob"}))
    assert texts(model.seen[1]) == texts(model.seen[2]) == []


def test_calls_and_results_of_a_turn_come_back_as_pairs():
    model = looping(2)
    app, source = remembering(model)
    ask(app, "look")
    shown = source.memory.session(SCOPE).view.messages
    assert [message.role for message in shown] == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "tool",
        "assistant",
    ]


def test_a_turn_that_is_remembered_twice_is_kept_once():
    app, source = remembering(ScriptedModel(["hello"]))
    turn = ask(app, "hi")
    source.remember(turn)
    assert len(source.memory.session(SCOPE).view.records) == 2


def test_a_failed_turn_leaves_a_valid_history():
    model = ScriptedModel([RuntimeError("the wire broke"), "hello"])  # type: ignore[list-item]
    app, source = remembering(model)
    with pytest.raises(RuntimeError):
        ask(app, "hi")
    ask(app, "hi again")
    assert [m.text for m in source.memory.session(SCOPE).view.messages] == ["hi", "hi again", "hello"]


def test_history_that_an_app_brings_is_kept_once_and_what_the_store_has_wins():
    model = ScriptedModel(["one", "two"])
    app, source = remembering(model)
    before = (user("earlier"), assistant("noted"))
    ask(app, "first", history=before)
    ask(app, "second", history=(*before, user("first"), assistant("one")))
    said = [m.text for m in source.memory.session(SCOPE).view.messages]
    assert said == ["earlier", "noted", "first", "one", "second", "two"]
    assert texts(model.seen[1]) == ["earlier", "noted", "first", "one"]


def test_without_a_session_the_newest_of_the_history_is_shown():
    model = ScriptedModel(["fine"])
    app, _ = remembering(model)
    ask(app, "now", Scope(), history=(user("before"), assistant("yes")))
    assert texts(model.seen[0]) == ["before", "yes"]


def test_what_left_the_window_is_recalled_when_it_is_asked_for():
    policy = Compaction(Recording(), COUNT, Condition("tokens", 300), keep=60, room=20)
    model = ScriptedModel(["ok " + "word " * 30] * 12)
    app, _ = remembering(model, policy, recall=True)
    ask(app, "the code of the vault is 7351")
    for n in range(10):
        ask(app, f"something else entirely, number {n}")
    ask(app, "what was the code of the vault?")
    assert not any("7351" in text for text in texts(model.seen[-1]))
    assert any("7351" in text for text in texts(model.seen[-1], "chunk"))


def test_what_was_recalled_is_not_kept_as_if_it_were_said_again():
    model = ScriptedModel(["ok"] * 3)
    app, source = remembering(model, recall=True)
    ask(app, "the code of the vault is 7351", SCOPE.model_copy(update={"session": "sunday"}))
    ask(app, "what was the code of the vault?")
    said = [record.message.text for record in source.memory.session(SCOPE).view.records]
    assert said == ["what was the code of the vault?", "ok"]


def test_the_newest_value_of_a_thing_stands_in_the_window_with_the_older_one():
    model = ScriptedModel(["noted"] * 3)
    app, _ = remembering(model)
    ask(app, "My deadline is Friday.", SCOPE.model_copy(update={"session": "a"}))
    ask(app, "I moved my deadline to Monday.", SCOPE.model_copy(update={"session": "b"}))
    ask(app, "when is my deadline?")
    (fact,) = texts(model.seen[-1], "chunk")
    assert "deadline: Monday" in fact
    assert "earlier: Friday" in fact


def test_history_starts_at_the_same_message_until_it_no_longer_fits():
    model = ScriptedModel(["word " * 40] * 30)
    app, _ = remembering(model, window=1_400, loop=0)
    starts = []
    for n in range(30):
        turn = ask(app, f"question {n} " + "word " * 20)
        starts.append(turn.context.shown.get("memory", ("",))[0])
    changes = sum(a != b for a, b in pairwise(starts[8:]))
    assert changes <= 8, starts


def test_a_store_that_fails_is_not_passed_over_in_silence(tmp_path):
    store = SqlStore(open_database("sqlite:./m.db", tmp_path))
    app, _ = remembering(ScriptedModel(["ok", "ok"]), store=store)
    ask(app, "hi")
    with sqlite3.connect(tmp_path / "m.db") as file:
        file.execute("DROP TABLE memory_records")
    with pytest.raises(Exception, match="memory_records"):
        ask(app, "again")


def test_an_apps_own_history_hides_nothing_of_the_store_and_keeps_its_own_refs():
    model = ScriptedModel(["noted", "fine"] * 3)
    app, source = remembering(model, recall=True, window=900, loop=0)
    source.keep(
        SCOPE, [("a", user("the code of the vault is 7351 " + "word " * 40)), ("b", assistant("x " * 500))]
    )
    brought = tuple(user(f"brought along, part {n}").model_copy(update={"id": f"own-{n}"}) for n in range(3))
    turn = ask(app, "what is the code of the vault?", history=brought)
    shown = texts(turn.context, "message", "chunk")
    assert any("7351" in text for text in shown)
    by_ref = {section.ref: render.text_of(section) for section in turn.context.of("message")}
    assert all(by_ref[f"own-{n}"] == f"brought along, part {n}" for n in range(3) if f"own-{n}" in by_ref)
    assert not any(text.startswith("brought") for ref, text in by_ref.items() if ref.startswith("m"))


def test_a_fact_that_stands_in_the_window_is_not_said_twice():
    model = ScriptedModel(["noted"] * 3)
    app, _ = remembering(model)
    ask(app, "My deadline is Friday.")
    turn = ask(app, "When is my deadline?")
    assert texts(turn.context, "message")[0] == "My deadline is Friday."
    assert texts(turn.context, "chunk") == []
