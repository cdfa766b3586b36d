"""The FastAPI example as a service: streaming order, isolation of tenants, cancellation on disconnect."""

import asyncio
import importlib.util
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from ctxeng.errors import ModelError, UnknownTurn
from ctxeng.models.scripted import ScriptedModel
from ctxeng.protocols import Event
from ctxeng.turn import Answer, assistant

QUESTION = "Who approves a discount of 20 percent?"
LESSON = "Discounts of 20 percent are approved by the regional lead."


def load():
    path = Path(__file__).parent.parent.parent / "examples" / "fastapi_two_tenants.py"
    spec = importlib.util.spec_from_file_location("fastapi_two_tenants", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


service = load()


@dataclass(frozen=True)
class Slow(ScriptedModel):
    """A model that takes a breath between words, and notes when it was told to stop."""

    script: object = ()
    pause: float = 0.01
    stopped: list = field(default_factory=list)

    async def aanswer(self, context, ask, on_event=None):
        try:
            for word in ("one", " two", " three", " four"):
                on_event(Event(type="text", text=word))
                await asyncio.sleep(self.pause)
        except asyncio.CancelledError:
            self.stopped.append(True)
            raise
        return Answer(message=assistant("one two three four"))


def open_tenants(folder, model=None):
    tenant = service.Tenant.open
    return {"key-a": tenant("acme", folder, model), "key-g": tenant("globex", folder, model)}


@pytest.fixture
def tenants(tmp_path):
    return open_tenants(tmp_path)


def client_of(tenants):
    transport = httpx.ASGITransport(service.create_app(tenants))
    return httpx.AsyncClient(transport=transport, base_url="http://service")


async def chat(client, key, text=QUESTION):
    reply = await client.post("/chat", json={"text": text}, headers={"x-api-key": key})
    assert reply.headers["content-type"].startswith("text/event-stream")
    return [parsed(block) for block in reply.text.strip().split("\n\n")]


def parsed(block):
    name, data = block.split("\n")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


async def test_the_text_comes_in_pieces_and_the_turn_id_once_at_the_end(tmp_path):
    async with client_of(open_tenants(tmp_path, Slow())) as client:
        events = await chat(client, "key-a")
    assert [name for name, _ in events] == ["text"] * 4 + ["turn"]
    assert "".join(data["text"] for name, data in events if name == "text") == "one two three four"


async def test_the_first_words_are_sent_before_the_model_has_finished(tmp_path):
    model = Slow(pause=0.05)
    tenant = open_tenants(tmp_path, model)["key-a"]
    stream = service.events(tenant, service.ChatIn(text=QUESTION))
    first = await asyncio.wait_for(anext(stream), 5)
    assert parsed(first.strip()) == ("text", {"text": "one"})
    assert not [turn for turn in tenant.orchestrator.log if turn.answer]
    rest = [event async for event in stream]
    assert rest[-1].startswith("event: turn")


async def test_what_one_tenant_teaches_the_other_never_hears(tenants):
    async with client_of(tenants) as client:
        turn = (await chat(client, "key-a"))[-1][1]["turn"]
        learned = await client.post(
            "/feedback", json={"turn": turn, "truth": LESSON}, headers={"x-api-key": "key-a"}
        )
        assert learned.json() == {"learned": ["add"]}
        taught, untaught = [await chat(client, key) for key in ("key-a", "key-g")]
    assert taught[0][1]["text"] == LESSON
    assert taught[-1][1]["cited"]
    assert untaught[0][1]["text"] == "Nothing in the window answers this."
    sizes = [len(tenant.orchestrator.learning.store.playbook) for tenant in tenants.values()]
    assert sizes == [1, 0]


async def test_nobody_can_give_feedback_on_the_others_turn(tenants):
    async with client_of(tenants) as client:
        turn = (await chat(client, "key-a"))[-1][1]["turn"]
        body = {"turn": turn, "truth": "something wrong"}
        refused = await client.post("/feedback", json=body, headers={"x-api-key": "key-g"})
    assert refused.status_code == 404
    assert all(len(tenant.orchestrator.learning.store.playbook) == 0 for tenant in tenants.values())


async def test_a_shared_log_would_still_be_divided_by_scope(tenants):
    async with client_of(tenants) as client:
        turn = (await chat(client, "key-a"))[-1][1]["turn"]
    acme, globex = tenants.values()
    globex.orchestrator.log.observe(acme.turn(turn))
    with pytest.raises(UnknownTurn):
        globex.turn(turn)


async def test_a_missing_key_is_refused_and_so_is_an_unknown_one(tenants):
    async with client_of(tenants) as client:
        missing = await client.post("/chat", json={"text": QUESTION})
        unknown = await client.post("/chat", json={"text": QUESTION}, headers={"x-api-key": "other"})
    assert (missing.status_code, unknown.status_code) == (422, 401)


async def test_tenants_that_talk_at_the_same_time_get_their_own_turns(tmp_path):
    tenants = open_tenants(tmp_path, Slow(pause=0.001))
    async with client_of(tenants) as client:
        keys = ["key-a", "key-g"] * 8
        streams = await asyncio.gather(*(chat(client, key) for key in keys))
    ids = {"key-a": set(), "key-g": set()}
    for key, events in zip(keys, streams, strict=True):
        ids[key].add(events[-1][1]["turn"])
    assert len(ids["key-a"]) == len(ids["key-g"]) == 8
    for key, tenant in tenants.items():
        assert {turn.id for turn in tenant.orchestrator.log} == ids[key]


async def test_a_model_that_fails_ends_the_stream_with_an_error_event(tmp_path):
    model = ScriptedModel([ModelError("the provider is down")])
    async with client_of(open_tenants(tmp_path, model)) as client:
        events = await chat(client, "key-a")
    assert events == [("error", {"error": "ModelError"})]


async def test_a_client_that_goes_away_cancels_the_models_call(tmp_path):
    model = Slow(pause=0.2)
    app = service.create_app(open_tenants(tmp_path, model))
    gone = asyncio.Event()
    incoming = [{"type": "http.request", "body": json.dumps({"text": QUESTION}).encode()}]
    sent = []

    async def receive():
        if incoming:
            return incoming.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        if b"event: text" in message.get("body", b""):
            gone.set()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/chat",
        "raw_path": b"/chat",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [(b"content-type", b"application/json"), (b"x-api-key", b"key-a")],
        "client": ("127.0.0.1", 1),
        "server": ("service", 80),
    }
    await asyncio.wait_for(app(scope, receive, send), 10)
    await asyncio.sleep(0.05)
    assert model.stopped == [True]
    body = b"".join(message.get("body", b"") for message in sent)
    assert b"event: turn" not in body
