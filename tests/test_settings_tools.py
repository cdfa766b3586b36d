"""Tools in a settings file: servers, modes, caps, clipping, priors from the log."""

import json

import pytest

from ctxeng.errors import BadInput, BadSettings, UnknownName
from ctxeng.message import Call, Message
from ctxeng.models.scripted import ScriptedModel
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.settings import open_app
from ctxeng.settings_schema import json_schema
from ctxeng.turn import Answer, Request, Scope, user


def weather(city: str) -> str:
    """The weather of today in a city."""
    return f"sunny in {city}. " * 400


def refund(order: str) -> str:
    """Pay an order's price back to the customer."""
    return f"paid back {order}"


def written(tmp_path, tools, **more):
    path = tmp_path / "app.yaml"
    path.write_text(
        json.dumps({"playbook": "p", "context": {"window": 8000, "sources": {"tools": tools}}, **more})
    )
    return path


def functions(**more):
    return {"from": [{"functions": [f"{__name__}:weather", f"{__name__}:refund"], "name": "shop"}], **more}


def calling(*calls):
    return Answer(message=Message(role="assistant", parts=calls), finish="calls")


def opened(path, replies=("done",)):
    return open_app(path, model=ScriptedModel(list(replies)), encoder=HashingEmbedder())


def test_a_workflow_loads_what_the_request_needs_and_runs_it(tmp_path):
    path = written(tmp_path, functions(mode="workflow", cap=1, found=1))
    replies = (calling(Call(id="c", name="weather", arguments={"city": "Oslo"})), "sunny")
    with opened(path, replies).orchestrator() as app:
        turn = app.invoke("what is the weather in the city of Oslo?")
    assert turn.shown["tools"] == ("weather",)
    assert turn.steps[0].results[0].text.startswith("sunny in Oslo")


def test_hybrid_is_the_default_and_the_model_searches(tmp_path):
    path = written(tmp_path, functions(found=1))
    replies = (
        calling(Call(id="s", name="search_tools", arguments={"query": "pay money back for an order"})),
        calling(Call(id="c", name="refund", arguments={"order": "o-1"})),
        "done",
    )
    with opened(path, replies).orchestrator() as app:
        turn = app.invoke("the customer wants order o-1 refunded")
    assert [step.results[0].is_error for step in turn.steps[:2]] == [False, False]
    assert turn.steps[1].results[0].text == "paid back o-1"
    assert turn.shown["tools"] == ("refund",)


def test_long_results_are_cut_and_the_rest_can_be_read(tmp_path):
    path = written(tmp_path, functions(mode="workflow", clip=128))
    replies = (calling(Call(id="c", name="weather", arguments={"city": "Oslo"})), "sunny")
    with opened(path, replies).orchestrator() as app:
        turn = app.invoke("weather in the city")
    text = turn.steps[0].results[0].text
    assert len(text) < len(weather("Oslo")) / 4
    assert "read_result" in text
    assert "read_result" in {tool.name for tool in turn.request.tools}


def test_what_the_log_knows_of_use_is_learned_at_the_start(tmp_path):
    path = written(tmp_path, functions(mode="workflow"), log="turns.jsonl")
    replies = (calling(Call(id="c", name="refund", arguments={"order": "o-1"})), "done")
    with opened(path, replies).orchestrator() as app:
        app.invoke(Request(query=user("give it back"), scope=Scope(tenant="a", session="s")))
    again = opened(path).toolkit.tools
    assert [one.tools for one in again.sessions.priors("a").used()] == [("refund",)]
    assert again.sessions.priors("b").used() == []


def test_a_file_of_schemas_is_a_server(tmp_path):
    (tmp_path / "tools.jsonl").write_text('{"name": "ping", "description": "Ping a host", "server": "net"}\n')
    kit = opened(written(tmp_path, {"from": [{"tools": "tools.jsonl"}]})).toolkit
    kit.providers.refresh()
    assert kit.providers.catalogue.servers() == {"net": ("ping",)}


@pytest.mark.parametrize(
    ("tools", "error", "said"),
    [
        ({"from": [{}]}, BadSettings, "one of mcp, openapi, functions, tools"),
        ({"from": [{"tools": "a", "mcp": "b"}]}, BadSettings, "one of mcp, openapi, functions, tools"),
        ({"mode": "magic"}, BadSettings, "mode"),
        ({"cap": 0}, BadSettings, "cap"),
        ({"from": [{"tools": "absent.json"}]}, BadInput, "absent.json"),
        ({"from": [{"functions": "nowhere:f"}]}, UnknownName, "nowhere:f"),
    ],
)
def test_what_cannot_be_is_said_by_name(tmp_path, tools, error, said):
    with pytest.raises(error, match=said):
        _ = open_app(written(tmp_path, tools)).toolkit.tools


def test_two_servers_of_one_name_are_refused(tmp_path):
    twice = {"from": [functions()["from"][0], functions()["from"][0]]}
    with pytest.raises(BadInput, match="'shop'"):
        _ = open_app(written(tmp_path, twice)).toolkit.tools


def test_without_servers_tools_are_those_of_the_request(tmp_path):
    kit = open_app(written(tmp_path, {"count": 3})).toolkit
    assert (kit.tools, kit.providers, kit.prepares, kit.observers) == (None, None, (), ())


def test_editors_know_the_options():
    assert {"from", "mode", "expose", "calm", "clip"} <= set(
        json_schema()["$defs"]["ToolSource"]["properties"]
    )
