"""A chat service for two tenants: answers stream, feedback teaches, and nobody learns from the other's turns.

    python examples/fastapi_two_tenants.py

POST /chat streams server-sent events: `text` as it is written, then `turn` with the id that feedback needs.
POST /feedback learns from a turn. A key in the `x-api-key` header says who the tenant is. As a script it
talks to itself in one process, without a port; serve `create_app(...)` with uvicorn.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import httpx
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException
from fastapi import Request as HttpRequest
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from ctxeng.errors import CtxengError, UnknownTurn
from ctxeng.orchestrator import Orchestrator
from ctxeng.protocols import Event, Model
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.settings import open_app
from ctxeng.turn import Request, Scope, Turn, user


class ChatIn(BaseModel):
    """A question, and whose it is within the tenant."""

    text: str
    user: str = ""


class FeedbackIn(BaseModel):
    """What came of a turn: the right answer, or a score from 0 to 1."""

    turn: str
    truth: str | None = None
    score: float | None = None


@dataclass(frozen=True)
class Tenant:
    """One tenant, with a playbook and a turn log of its own; nothing in it is shared with another's."""

    name: str
    orchestrator: Orchestrator

    @classmethod
    def open(cls, name: str, folder: Path, model: Model | None = None) -> Tenant:
        """The tenant's files in a folder of its own; `model` answers in place of the embedded default."""
        path = folder / name / "playbook.yaml"
        if not path.exists():
            path.parent.mkdir(parents=True)
            path.write_text(
                f"ctxeng: 1\nplaybook: {name}\nlog: turns.jsonl\nlearning: {{strategy: onbox}}\n",
                encoding="utf-8",
            )
        # the hashing encoder loads at once; leave it out for the real one
        return cls(name, open_app(path, encoder=HashingEmbedder(), model=model).orchestrator())

    def request(self, chat: ChatIn) -> Request:
        """The question under the tenant's scope."""
        return Request(query=user(chat.text), scope=Scope(tenant=self.name, user=chat.user))

    def turn(self, turn_id: str) -> Turn:
        """A turn of this tenant. Raises UnknownTurn for anybody else's."""
        turn = self.orchestrator.log.get(turn_id)
        if turn.request.scope.tenant != self.name:
            raise UnknownTurn(f"no turn {turn_id!r}")
        return turn


def caller(connection: HttpRequest, x_api_key: Annotated[str, Header()]) -> Tenant:
    """The tenant whose key came with the request."""
    tenants: Mapping[str, Tenant] = connection.app.state.tenants
    if x_api_key not in tenants:
        raise HTTPException(401, "unknown key")
    return tenants[x_api_key]


Caller = Annotated[Tenant, Depends(caller)]
routes = APIRouter()


@routes.post("/chat")
async def chat(body: ChatIn, tenant: Caller) -> StreamingResponse:
    """The answer as server-sent events."""
    return StreamingResponse(events(tenant, body), media_type="text/event-stream")


@routes.post("/feedback")
def feedback(body: FeedbackIn, tenant: Caller) -> dict[str, list[str]]:  # not async: it works in a thread
    """What was learned from a turn."""
    try:
        turn = tenant.turn(body.turn)
    except UnknownTurn as error:
        raise HTTPException(404, str(error)) from error
    learned = tenant.orchestrator.feedback(turn.id, truth=body.truth, score=body.score)
    return {"learned": [delta.op for delta in learned.applied]}


def create_app(tenants: Mapping[str, Tenant]) -> FastAPI:
    """The service; `tenants` by their API key."""
    service = FastAPI(title="ctxeng with two tenants")
    service.state.tenants = tenants
    service.include_router(routes)
    return service


async def events(tenant: Tenant, chat: ChatIn) -> AsyncIterator[str]:
    """The turn as server-sent events; when the client goes away, the model's call is cancelled."""
    items: asyncio.Queue[Event | Turn | None] = asyncio.Queue()

    async def run() -> None:
        async for item in tenant.orchestrator.astream(tenant.request(chat)):
            items.put_nowait(item)

    # A task of its own: Starlette cancels again and again until its scope is left, which interrupts the
    # graph in the middle of cancelling its own tasks, and the model would go on talking to nobody.
    turn = asyncio.create_task(run())
    turn.add_done_callback(lambda _: items.put_nowait(None))
    try:
        while (item := await items.get()) is not None:
            match item:
                case Event(type="text"):
                    yield sse("text", {"text": item.text})
                case Turn():
                    yield sse("turn", {"turn": item.id, "cited": item.answer.cited if item.answer else ()})
        await turn
    except CtxengError as error:  # the status line is sent already, so the stream says what went wrong
        yield sse("error", {"error": type(error).__name__})
    finally:
        turn.cancel()


def sse(event: str, data: object) -> str:
    """One server-sent event."""
    return f"event: {event}\ndata: {json.dumps(data)}\n\n"


# -- a client, to see it work -----------------------------------------------------------------------------


async def say(client: httpx.AsyncClient, key: str, text: str) -> tuple[str, str]:
    """The text streamed back, and the turn's id."""
    answer, turn, event = "", "", ""
    async with client.stream("POST", "/chat", json={"text": text}, headers={"x-api-key": key}) as reply:
        async for line in reply.aiter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                event = value
            elif field == "data" and event == "text":
                answer += json.loads(value)["text"]
            elif field == "data" and event == "turn":
                turn = json.loads(value)["turn"]
    return answer, turn


async def demonstrate(folder: Path) -> None:
    """Acme teaches its assistant something; Globex's never hears of it."""
    tenants = {"key-a": Tenant.open("acme", folder), "key-g": Tenant.open("globex", folder)}
    transport = httpx.ASGITransport(create_app(tenants))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        question = "Who approves a discount of 20 percent?"
        for key, tenant in tenants.items():
            print(f"{tenant.name} asks:", (await say(client, key, question))[0])
        _, turn = await say(client, "key-a", question)
        lesson = {"turn": turn, "truth": "Discounts of 20 percent are approved by the regional lead."}
        refused = await client.post("/feedback", json=lesson, headers={"x-api-key": "key-g"})
        print("globex gives feedback on acme's turn:", refused.status_code)
        learned = await client.post("/feedback", json=lesson, headers={"x-api-key": "key-a"})
        print("acme gives feedback:", learned.json())
        for key, tenant in tenants.items():
            print(f"{tenant.name} asks again:", (await say(client, key, question))[0])
    for tenant in tenants.values():
        tenant.orchestrator.close()
        print(f"{tenant.name}'s playbook has {len(tenant.orchestrator.learning.store.playbook)} entries")


def main() -> None:
    """Run the demonstration in a folder that goes away."""
    with TemporaryDirectory() as folder:
        asyncio.run(demonstrate(Path(folder)))


if __name__ == "__main__":
    main()
