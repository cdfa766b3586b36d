"""Memory in a turn: what was said comes back, long loops are absorbed, the model edits what it sees."""

from __future__ import annotations

import asyncio
import sqlite3
from itertools import pairwise

import pytest

from ctxeng import render
from ctxeng.assemble import Assembler
from ctxeng.budget import Budget
from ctxeng.memory.compaction import Compaction
from ctxeng.memory.manage import Desk
from ctxeng.memory.memory import Memory
from ctxeng.memory.recall import Recall
from ctxeng.memory.record import Pruned
from ctxeng.memory.source import MemorySource
from ctxeng.memory.store import SqlStore
from ctxeng.memory.trigger import Condition
from ctxeng.models.roles import RoleModels
from ctxeng.models.scripted import ScriptedModel
from ctxeng.orchestrator import Orchestrator
from ctxeng.record import RecentTurns
from ctxeng.steps import Steps
from ctxeng.storage.sql import open_database
from ctxeng.tokens import Estimate
from ctxeng.tools.functions import Functions
from ctxeng.turn import Call, Message, Request, Scope, Section, assistant, user
from sessions import Recording

COUNT = Estimate()
SCOPE = Scope(tenant="acme", user="ada", session="monday")


def lookup(key: str) -> str:
    """A long text about the key."""
    return f"the value of {key} is {key * 3}. " + "and more of it " * 40


def price(message):
    return render.price(Section(kind="message", source="memory", body=message), COUNT)


def remembering(model, *policies, window=8_000, loop=1_000, store=None, recall=False, **options):
    """An orchestrator whose only source is a memory."""
    store = store or SqlStore(open_database("sqlite::memory:"))
    memory = Memory(store, price, policies, marked=options.get("edits", False))
    source = MemorySource(memory, Recall(store) if recall else None, **options)
    runner = Functions.of(lookup)
    log = RecentTurns()
    steps = Steps(
        models=RoleModels(model),
        assembler=Assembler({"memory": source}, Budget(window, reply=200, loop=loop)),
        runner=runner,
        tools=runner.tools,
        observers=(log,),
        max_steps=60,
        cite=False,
    )
    return Orchestrator(steps, log), source


def ask(app, text, scope=SCOPE, **fields):
    return app.invoke(Request(query=user(text), scope=scope, **fields))


def texts(context, *kinds):
    return [render.text_of(section) for section in context.of(*(kinds or ("summary", "message")))]


def looping(count):
    """A model that looks something up in `count` steps of its turn, then answers."""

    def reply(context, ask):
        done = len(reply.made)
        if done >= count or ask.tool_choice == "none":
            return f"done after {done}"
        reply.made.append(done)
        call = Call(id=f"k{done}", name="lookup", arguments={"key": f"key{done}"})
        return Message(role="assistant", parts=(call,))

    reply.made = []
    return ScriptedModel(reply)


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


def test_a_long_session_runs_in_a_bounded_window_and_the_summariser_sees_all_that_goes():
    recording = Recording()
    policy = Compaction(recording, COUNT, Condition("tokens", 400), keep=100, room=50, chunk=200)
    model = ScriptedModel([f"answer {n} " + "word " * 20 for n in range(40)])
    app, source = remembering(model, policy, window=2_000)
    for n in range(40):
        turn = ask(app, f"question {n} " + "word " * 20)
        assert turn.context.tokens <= 1_800
    view = source.memory.session(SCOPE).view
    seen = "\n".join(recording.seen)
    for record in view.records[: view.upto]:
        assert record.message.text.split("word")[0].strip() in seen
    assert seen.count("word") == 20 * view.upto
    assert view.tokens <= 450


def test_a_loop_of_nothing_but_tools_is_summarised_and_goes_on():
    recording = Recording()
    policy = Compaction(recording, COUNT, Condition("tokens", 3_000), keep=300, room=50)
    model = looping(40)
    app, source = remembering(model, policy, window=4_000, loop=1_500)
    turn = ask(app, "look up everything")
    assert turn.answer.text == "done after 40"
    assert len(turn.steps) == 41
    assert max(context.tokens for context in model.seen) <= 3_800
    view = source.memory.session(SCOPE).view
    seen = "\n".join(recording.seen)
    gone = [r for r in view.records[: view.upto] if r.message.role == "tool"]
    assert len(gone) >= 30
    assert all(record.message.text in seen for record in gone)
    assert turn.usage["summarize"].calls == len(recording.seen) >= 3
    assert len(view.records) == 1 + 40 * 2 + 1


def test_results_of_steps_that_were_absorbed_stand_in_the_summary_not_twice():
    policy = Compaction(Recording(), COUNT, Condition("tokens", 3_000), keep=300, room=50)
    model = looping(20)
    app, _ = remembering(model, policy, window=4_000, loop=1_500)
    ask(app, "look up everything")
    last = model.seen[-1]
    assert last.of("summary")
    assert not last.of("message")
    assert len(last.of("step")) <= 6


def test_where_the_rounds_are_spent_results_are_cut_as_without_a_memory():
    recording = Recording()
    policy = Compaction(recording, COUNT, Condition("tokens", 3_000), keep=300, room=50, rounds=1)
    model = looping(20)
    app, source = remembering(model, policy, window=4_000, loop=1_500)
    ask(app, "look up everything")
    assert len([e for e in source.memory.session(SCOPE).view.edits if e.type == "summarised"]) <= 2


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


def test_the_model_takes_a_result_out_and_the_pair_stays_valid():
    def reply(context, ask):
        if len(model.asks) == 1:
            return "seen"
        if len(model.asks) == 2:
            call = Call(
                id="p", name="prune_context", arguments={"record_ids": ["m3"], "summary": "it was 42"}
            )
            return Message(role="assistant", parts=(call,))
        return "pruned"

    model = ScriptedModel(reply)
    app, source = remembering(model, edits=True)
    history = (
        user("look"),
        Message(role="assistant", parts=(Call(id="k", name="lookup", arguments={"key": "x"}),)),
        Message.model_validate(
            {"role": "tool", "parts": [{"type": "result", "call_id": "k", "text": "42 " * 99}]}
        ),
    )
    ask(app, "hello", history=history)
    turn = ask(app, "now prune")
    assert "took out m3" in turn.steps[0].results[0].text
    assert "tokens freed" in turn.steps[0].results[0].text
    assert any("[m3]" in text for text in texts(model.seen[1]))
    assert not any("[m3]" in text for text in texts(model.seen[2]))
    assert any("it was 42" in text for text in texts(model.seen[2]))
    assert source.memory.session(SCOPE).view.edits[0].type == "pruned"


def test_a_model_cannot_edit_where_edits_are_off():
    call = Call(id="p", name="prune_context", arguments={"record_ids": ["m1"], "summary": ""})
    model = ScriptedModel([Message(role="assistant", parts=(call,)), "fine"])
    app, _ = remembering(model)
    turn = ask(app, "hi")
    assert turn.steps[0].results[0].is_error


def test_the_model_looks_up_what_it_no_longer_sees_and_reads_it_whole():
    searched = Call(id="s", name="recall_memory", arguments={"query": "vault code"})
    read = Call(id="r", name="recall_memory", arguments={"ref": "sunday:m1"})
    model = ScriptedModel(
        ["ok", Message(role="assistant", parts=(searched,)), Message(role="assistant", parts=(read,)), "7351"]
    )
    app, source = remembering(model, recall=True, asks=True, recalled=1)
    ask(app, "the vault code is 7351", SCOPE.model_copy(update={"session": "sunday"}))
    turn = ask(app, "what is it?")
    assert "[sunday:m1]" in turn.steps[0].results[0].text
    assert turn.steps[1].results[0].text.endswith("the vault code is 7351")
    found = source.recall.search("vault code", SCOPE.model_copy(update={"session": ""}), 10)
    assert next(each.ref for each in found if "7351" in each.text) == "sunday:m1"
    assert not any("From memory" in each.text for each in found)


def test_nobody_reads_another_users_records_by_reference():
    read = Call(id="r", name="recall_memory", arguments={"ref": "sunday:m1"})
    model = ScriptedModel(["ok", Message(role="assistant", parts=(read,)), "no"])
    app, _ = remembering(model, recall=True, asks=True)
    ask(app, "the vault code is 7351", Scope(tenant="acme", user="bob", session="sunday"))
    turn = ask(app, "what is it?")
    assert turn.steps[0].results[0].is_error
    assert "7351" not in turn.steps[0].results[0].text


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


def test_awaited_a_long_loop_is_absorbed_alike():
    policy = Compaction(Recording(), COUNT, Condition("tokens", 3_000), keep=300, room=50)
    app, source = remembering(looping(20), policy, window=4_000, loop=1_500)
    turn = asyncio.run(app.ainvoke(Request(query=user("look up everything"), scope=SCOPE)))
    assert turn.answer.text == "done after 20"
    assert turn.usage["summarize"].calls > 0
    assert len(source.memory.session(SCOPE).view.records) == 1 + 20 * 2 + 1


def test_absorbing_twice_as_a_resumed_turn_does_keeps_everything_once():
    policy = Compaction(Recording(), COUNT, Condition("tokens", 3_000), keep=100, room=50)
    app, source = remembering(looping(6), policy)
    turn = ask(app, "look up everything", SCOPE.model_copy(update={"session": "made"}))
    request = turn.request.model_copy(update={"scope": SCOPE})
    for steps in (turn.steps[:4], turn.steps[:4], turn.steps[:6], turn.steps[:5]):
        assert source.absorb("again", request, steps) is not None
    source.remember(turn.model_copy(update={"id": "again", "request": request}))
    view = source.memory.session(SCOPE).view
    keys = [record.key for record in view.records]
    assert len(keys) == len(set(keys)) == 1 + 6 * 2 + 1
    assert not view.missing
    assert not view.faults


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


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"record_ids": ["m9"], "summary": ""}, "no record 'm9'"),
        ({"record_ids": ["nonsense"], "summary": ""}, "no record 'nonsense'"),
        ({"record_ids": [], "summary": ""}, "`record_ids` is needed"),
        ({"record_ids": "m1", "summary": ""}, "`record_ids` is needed"),
        ({"record_ids": ["m1"]}, "`summary` is needed"),
    ],
)
def test_an_edit_that_cannot_be_made_is_said_and_changes_nothing(arguments, says):
    app, source = remembering(ScriptedModel(["hello"]), edits=True)
    ask(app, "hi")
    call = Call(id="p", name="prune_context", arguments=arguments)
    result = source.manage(call, Request(query=user("now"), scope=SCOPE), (call,))
    assert result.is_error
    assert says in result.text
    assert source.memory.session(SCOPE).view.edits == []


def test_an_edit_that_another_process_overtook_is_said_to_the_model():
    app, source = remembering(ScriptedModel(["hello"]), edits=True)
    ask(app, "hi")
    held = source.memory.session(SCOPE)
    other = Memory(source.memory.store, price).session(SCOPE)
    pruned = Pruned(numbers=(2,), text="")
    Desk(other).session.edit(pruned)
    call = Call(id="p", name="prune_context", arguments={"record_ids": ["m1"], "summary": ""})
    result = Desk(held).answered(call)
    assert result.is_error
    assert Desk(held).answered(call).is_error is False
