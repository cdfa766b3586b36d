"""A turn from request to answer through the graph: tools, streaming, what is logged."""

import asyncio

import pytest

from ctxeng.assemble import Assembler
from ctxeng.budget import Budget
from ctxeng.errors import BadInput, Cancelled, ContextOverflow, ModelError, UnknownTurn
from ctxeng.models.roles import Fallback, RoleModels
from ctxeng.models.scripted import ScriptedModel
from ctxeng.orchestrator import Orchestrator
from ctxeng.protocols import Event
from ctxeng.record import RecentTurns, TurnLog
from ctxeng.steps import Steps
from ctxeng.turn import Ask, Call, Chunk, Message, Request, Schema, Scope, Section, Turn, user
from turns import SUM, add, build, calling


def test_a_plain_question_is_answered_and_logged():
    app = build(ScriptedModel(["42"]))
    turn = app.invoke("What is 6 x 7?")
    assert turn.answer.text == "42"
    assert app.log.get(turn.id) == turn
    assert turn.usage["answer"].calls == 1


def test_tool_calls_run_and_their_results_stand_behind_the_query():
    model = calling(SUM, then="five")
    turn = build(model, [add]).invoke("2 + 3?")
    assert turn.answer.text == "five"
    assert [result.text for step in turn.steps for result in step.results] == ["5"]
    kinds = [section.kind for section in model.seen[1].sections]
    assert kinds[-2:] == ["step", "step"]
    assert model.seen[1].sections[: len(model.seen[0].sections)] == model.seen[0].sections


def test_parallel_calls_failures_and_unknown_tools_all_come_back_as_results():
    calls = (SUM, Call(id="k2", name="add", arguments={"a": "x"}), Call(id="k3", name="gone"))
    turn = build(calling(*calls), [add]).invoke("go")
    results = {result.call_id: result for result in turn.steps[0].results}
    assert results["k1"].text == "5"
    assert results["k2"].is_error
    assert "no tool named 'gone'" in results["k3"].text


def test_the_loop_is_bounded_and_the_last_call_has_to_answer():
    model = ScriptedModel(
        lambda c, ask: "enough" if ask.tool_choice == "none" else Message(role="assistant", parts=(SUM,))
    )
    turn = build(model, [add], max_steps=3).invoke("go")
    assert turn.answer.text == "enough"
    assert len(model.seen) == 4


def test_a_result_too_large_for_the_loop_reserve_leads_to_a_new_window_that_holds():
    def dump() -> str:
        """A lot."""
        return "word " * 20_000

    model = calling(Call(id="k1", name="dump"))
    build(model, [dump]).invoke("go")
    assert all(model.price_context(context) <= 7_800 for context in model.seen)


async def test_the_graph_runs_awaited_with_async_tools():
    async def slow(word: str) -> str:
        """Waits."""
        await asyncio.sleep(0)
        return word.upper()

    turn = await build(calling(Call(id="k", name="slow", arguments={"word": "hi"})), [slow]).ainvoke("go")
    assert turn.steps[0].results[0].text == "HI"


def test_events_stream_in_order_and_the_turn_comes_last():
    model = calling(SUM, then="The answer is five.\nCited: [x]")
    items = list(build(model, [add]).stream("2 + 3?"))
    assert isinstance(items[-1], Turn)
    assert "".join(item.text for item in items[:-1] if item.type == "text") == "The answer is five."
    assert [item.node for item in items[:-1] if item.type == "node"] == [
        "prepare", "assemble", "answer", "act", "append", "answer", "remember",
    ]  # fmt: skip
    assert any(item.type == "call" for item in items[:-1])


async def test_events_stream_awaited_too():
    items = [item async for item in build(ScriptedModel(["a b"])).astream("go")]
    assert [item.text for item in items if isinstance(item, Event) and item.type == "text"] == ["a", " b"]


def test_a_cancelled_turn_stops_before_the_model_is_called():
    model = ScriptedModel(["never"])
    with pytest.raises(Cancelled):
        build(model).invoke("go", cancelled=lambda: True)
    assert model.seen == []


def test_a_failed_turn_is_logged_with_its_error():
    app = build(ScriptedModel([ModelError("the provider is down")]))
    with pytest.raises(ModelError):
        app.invoke("go", turn_id="t1")
    assert app.log.get("t1").error == "ModelError: the provider is down"


def test_an_overflow_leads_to_one_smaller_window():
    model = ScriptedModel([ContextOverflow("too long"), "fine"])
    assert build(model).invoke("go").answer.text == "fine"
    assert model.seen[1].limit < model.seen[0].limit


def test_a_fallback_answers_where_the_first_model_fails():
    first, second = ScriptedModel([ModelError("down")]), ScriptedModel(["here"], window=9_000)
    assert build(Fallback([first, second])).invoke("go").answer.text == "here"


class Refs:
    """A source that shows its documents and keeps what it was told was shown before."""

    def __init__(self):
        self.told = []

    def gather(self, request, allowance):
        self.told.append(dict(request.shown))
        body = Chunk(id="c1", text="A fact.")
        return [allowance.priced(Section(kind="chunk", source="docs", body=body, ref="c1"))]


def showing(source, log):
    steps = Steps(
        models=RoleModels(ScriptedModel(lambda *_: "ok")),
        assembler=Assembler({"docs": source}, Budget(4_000, reply=100)),
        observers=(log,),
    )
    return Orchestrator(steps, log)


def test_a_turn_knows_what_its_parent_showed_also_from_a_log_on_disk(tmp_path):
    first = showing(Refs(), TurnLog(tmp_path / "turns.jsonl")).invoke("one")
    source = Refs()
    app = showing(source, TurnLog(tmp_path / "turns.jsonl"))
    second = app.invoke("two", parent=first.id)
    assert source.told[-1]["docs"] == ("c1",)
    assert second.parent == first.id
    with pytest.raises(UnknownTurn):
        app.invoke(Request(query=user("q"), scope=Scope(tenant="eve")), parent=first.id)


def test_turns_of_one_session_find_their_parent_by_themselves():
    source = Refs()
    app = showing(source, RecentTurns())
    for session in ("a", "a", "b"):
        app.invoke(Request(query=user("q"), scope=Scope(session=session)))
    assert [told.get("docs", ()) for told in source.told] == [(), ("c1",), ()]


def test_an_error_nobody_foresaw_is_logged_too():
    def broken(context, ask):
        raise RuntimeError("the disk is gone")

    app = build(ScriptedModel(broken))
    with pytest.raises(RuntimeError):
        app.invoke("q", turn_id="t1")
    assert app.log.get("t1").error == "RuntimeError: the disk is gone"


def test_the_asks_own_means_to_cancel_is_heard():
    app = build(ScriptedModel(["never"]))
    with pytest.raises(Cancelled):
        list(app.stream("q", ask=Ask(cancelled=lambda: True), turn_id="t1"))
    assert app.log.get("t1").error.startswith("Cancelled")


SCHEMA = Schema(json_schema={"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}})


@pytest.mark.parametrize(("said", "parsed"), [('{"n": 1}', {"n": 1}), ('{"n": "1"}', None), ("{}", None)])
def test_json_is_parsed_only_where_it_fits_the_schema(said, parsed):
    assert build(ScriptedModel([said])).invoke("q", want=SCHEMA).answer.parsed == parsed


@pytest.mark.parametrize("schema", [{"type": "nonsense"}, {"properties": {"a": 3}}])
def test_what_is_no_schema_is_refused_before_anything_is_asked(schema):
    model = ScriptedModel(["{}"])
    with pytest.raises(BadInput, match="not a JSON Schema"):
        build(model).invoke("q", want=Schema(json_schema=schema))
    assert model.seen == []


def test_a_schema_that_points_elsewhere_is_refused_and_nothing_is_fetched():
    want = Schema(json_schema={"$ref": "http://127.0.0.1:1/schema.json"})
    with pytest.raises(BadInput, match="outside itself"):
        build(ScriptedModel(["{}"])).invoke("q", want=want)


def test_tools_bring_a_reserve_for_their_results_unless_it_is_stated():
    assert Budget(8_000).reserve(tools=True) == 1_000
    assert Budget(8_000).reserve(tools=False) == 0
    assert Budget(8_000, loop=0).reserve(tools=True) == 0
