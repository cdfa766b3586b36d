"""Turns off the straight path: approval, resumption, learning, ablation, failures."""

import asyncio
import json
import sqlite3
from typing import TypedDict

import anyio
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph

from ctxeng.errors import ApprovalNeeded, BadInput, ModelError, UnknownTurn
from ctxeng.models.scripted import ScriptedModel
from ctxeng.playbook.store import PlaybookStore
from ctxeng.storage.bodies import Bodies
from ctxeng.storage.setaside import SetAside
from ctxeng.tools.functions import Functions
from ctxeng.turn import Ask, Call, Message, Request, Scope, Turn, user
from turns import SUM, Slow, add, build, calling, danger, guarded, learning_app


@pytest.mark.parametrize(("decision", "text"), [(True, "boom"), ("not today", "not today")])
def test_a_call_that_needs_approval_waits_for_a_person(decision, text):
    runs = []
    app = guarded(calling(Call(id="k", name="danger"), SUM), runs, checkpointer=InMemorySaver())
    with pytest.raises(ApprovalNeeded) as waiting:
        app.invoke("go", turn_id="t")
    assert list(waiting.value.waiting) == ["k"]
    assert runs == []
    turn = app.resume("t", {"k": decision})
    assert turn.steps[0].results[0].text == text
    assert len(runs) == (1 if decision is True else 0)


def test_a_turn_resumes_in_another_process_and_finished_calls_are_not_run_again(tmp_path):
    runs, before = [], []

    def once() -> str:
        """Counts."""
        before.append(1)
        return "counted"

    def open_app(model):
        connection = sqlite3.connect(tmp_path / "turns.db", check_same_thread=False)
        app = guarded(
            model, runs, checkpointer=SqliteSaver(connection), bodies=Bodies(SetAside(tmp_path / "bodies"))
        )
        functions = {**app.steps.runner.functions, "once": once}
        object.__setattr__(app.steps, "runner", Functions(functions))
        object.__setattr__(app.steps, "tools", (*app.steps.tools, *Functions.of(once).tools))
        return app

    calls = (Call(id="k1", name="once"), Call(id="k2", name="danger"))
    with pytest.raises(ApprovalNeeded):
        open_app(calling(*calls)).invoke("go", turn_id="t")
    turn = open_app(calling(*calls, then="after the restart")).resume("t", {"k2": True})
    assert turn.answer.text == "after the restart"
    assert (len(before), len(runs)) == (1, 1)


def test_nodes_can_be_removed_and_functions_put_before_them():
    def shout(request: Request) -> Request:
        return request.model_copy(update={"query": user(request.query.text.upper())})

    model = ScriptedModel(["ok"])
    app = build(model, hooks={"assemble": [shout]}, without=frozenset({"remember", "act"}))
    turn = app.invoke("quietly")
    assert model.seen[0].of("query")[0].body.text == "QUIETLY"
    with pytest.raises(UnknownTurn):
        app.log.get(turn.id)
    with pytest.raises(BadInput, match="assemble"):
        build(model, without=frozenset({"assemble"}))


def test_the_graph_works_inside_a_users_own_graph():
    app = build(ScriptedModel(["inner"]))

    class Outer(TypedDict, total=False):
        question: str
        reply: str

    def inner(state: Outer) -> Outer:
        return {"reply": app.turn_of(app.graph.invoke(app.start(state["question"]))).answer.text}

    graph = StateGraph(Outer)
    graph.add_node("ctxeng", inner)
    graph.add_edge(START, "ctxeng")
    graph.add_edge("ctxeng", END)
    assert graph.compile().invoke({"question": "hi"})["reply"] == "inner"


def test_feedback_days_later_teaches_the_playbook_and_giving_it_twice_teaches_once(tmp_path):
    turn = learning_app(tmp_path, ScriptedModel(["41"])).invoke("What is 6 x 7?")
    later = learning_app(tmp_path, ScriptedModel([]))
    learned = later.feedback(turn.id, truth="42")
    assert [delta.op for delta in learned.applied] == ["add"]
    later.feedback(turn.id, truth="42")
    later.close()
    (entry,) = PlaybookStore(tmp_path / "book.yaml").open().own
    assert (entry.when, entry.text) == ("What is 6 x 7?", "42")
    assert later.log.get(turn.id).deltas == (entry.id,)


def test_a_person_approves_what_is_learned(tmp_path):
    app = learning_app(tmp_path, ScriptedModel(["41", "41"]), approve="human")
    for decision, size in ((False, 0), (True, 1)):
        turn = app.invoke("What is 6 x 7?")
        with pytest.raises(ApprovalNeeded):
            app.feedback(turn.id, truth="42")
        app.approve(turn.id, decision=decision)
        assert len(app.learning.store.playbook) == size


def test_feedback_on_a_turn_that_is_not_there_is_an_error_by_name(tmp_path):
    with pytest.raises(UnknownTurn, match="nowhere"):
        learning_app(tmp_path, ScriptedModel([])).feedback("nowhere", truth="x")


def test_checkpoints_grow_with_turns_in_a_straight_line():
    sizes = []
    for turns in (10, 20, 40):
        saver = InMemorySaver()
        app = build(calling(SUM), [add], checkpointer=saver)
        for number in range(turns):
            app.invoke("2 + 3?", ask=Ask(max_tokens=100), turn_id=f"t{number}")
        sizes.append(sum(len(blob[1]) for blob in saver.blobs.values()))
    first, second = sizes[1] - sizes[0], (sizes[2] - sizes[1]) / 2
    assert second <= first * 1.05


def test_a_turn_is_plain_json_and_back(tmp_path):
    turn = build(calling(SUM), [add]).invoke("2 + 3?")
    assert Turn.model_validate(json.loads(turn.model_dump_json())) == turn


async def test_leaving_a_stream_early_cancels_the_models_call():
    model = Slow([])
    with anyio.move_on_after(0.5):
        async for _ in build(model).astream("go"):
            pass
    await asyncio.sleep(0.05)
    assert model.seen == ["cancelled"]


async def test_a_turn_that_fails_while_it_streams_is_logged_and_raised():
    app = build(ScriptedModel([ModelError("down"), ModelError("down")]))
    with pytest.raises(ModelError):
        [item async for item in app.astream("go")]
    with pytest.raises(ModelError):
        list(app.stream("go"))
    assert [turn.error for turn in app.log._turns.values()] == ["ModelError: down"] * 2


def test_two_calls_of_one_id_are_told_apart():
    twins = (
        Call(id="k", name="add", arguments={"a": 1, "b": 1}),
        Call(id="k", name="add", arguments={"a": 2, "b": 2}),
    )
    turn = build(calling(*twins), [add]).invoke("go")
    assert [result.text for result in turn.steps[0].results] == ["2", "4"]


def test_a_tool_that_was_not_offered_is_not_run():
    turn = build(calling(SUM), [add], tools=()).invoke("go")
    assert "was offered" in turn.steps[0].results[0].text


def test_a_tool_of_the_request_cannot_lift_the_need_for_approval():
    runs = []
    app = guarded(calling(Call(id="k", name="danger")), runs, checkpointer=InMemorySaver())
    with pytest.raises(ApprovalNeeded):
        app.invoke(Request(query=user("go"), tools=Functions.of(danger).tools))
    assert runs == []


def test_calls_that_nobody_decided_on_go_on_waiting():
    calls = (Call(id="k1", name="danger"), Call(id="k2", name="danger"))
    runs = []
    app = guarded(calling(*calls), runs, checkpointer=InMemorySaver())
    with pytest.raises(ApprovalNeeded):
        app.invoke("go", turn_id="t")
    with pytest.raises(ApprovalNeeded) as still:
        app.resume("t", {"k1": True})
    assert list(still.value.waiting) == ["k2"]
    turn = app.resume("t", {"k2": "no"})
    assert [result.text for result in turn.steps[0].results] == ["boom", "no"]
    assert len(runs) == 1


def test_turns_that_are_not_there_cannot_be_resumed_or_approved(tmp_path):
    with pytest.raises(UnknownTurn, match="nowhere"):
        build(ScriptedModel([]), checkpointer=InMemorySaver()).resume("nowhere")
    with pytest.raises(UnknownTurn, match="nowhere"):
        learning_app(tmp_path, ScriptedModel([])).approve("nowhere")


def test_one_tenant_cannot_give_feedback_on_anothers_turn(tmp_path):
    app = learning_app(tmp_path, ScriptedModel(["41"]))
    turn = app.invoke(Request(query=user("6 x 7?"), scope=Scope(tenant="ann")))
    with pytest.raises(UnknownTurn, match="in this scope"):
        app.feedback(turn.id, truth="42", scope=Scope(tenant="bob"))
    assert app.feedback(turn.id, truth="42", scope=Scope(tenant="ann")).applied


def test_a_turn_that_fails_late_is_logged_with_what_it_did_and_cost():
    replies = [Message(role="assistant", parts=(SUM,)), ModelError("down")]
    app = build(ScriptedModel(replies), [add])
    with pytest.raises(ModelError):
        app.invoke("go", turn_id="t")
    turn = app.log.get("t")
    assert [result.text for step in turn.steps for result in step.results] == ["5"]
    assert turn.usage["answer"].calls == 1
    assert turn.answer is None


def test_a_truth_and_a_score_exclude_each_other(tmp_path):
    app = learning_app(tmp_path, ScriptedModel(["a"]))
    turn = app.invoke("q")
    with pytest.raises(BadInput, match="not both"):
        app.feedback(turn.id, truth="a", score=0.5)
