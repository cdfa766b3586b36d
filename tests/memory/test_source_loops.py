"""Memory in long sessions and in long turns: bounded windows, steps absorbed, everything read once."""

from __future__ import annotations

import asyncio

from ctxeng.memory.compaction import Compaction
from ctxeng.memory.trigger import Condition
from ctxeng.models.scripted import ScriptedModel
from ctxeng.turn import Request, user
from remembering import COUNT, SCOPE, ask, looping, remembering
from sessions import Recording


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
