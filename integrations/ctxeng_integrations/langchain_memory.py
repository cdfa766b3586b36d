"""A bounded window inside a LangChain agent: middleware that shows what memory makes of a long history."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from ctxeng.extras import needs

needs("langchain")  # before its import, so that what is missing is named with the pip line

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse  # noqa: E402
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage  # noqa: E402
from langgraph.config import get_config  # noqa: E402

from ctxeng.memory.memory import Memory  # noqa: E402
from ctxeng.message import Image, Message, Opaque, Part, Result, Text  # noqa: E402
from ctxeng.turn import Scope  # noqa: E402
from ctxeng_integrations import langchain_values as values  # noqa: E402


def thread_scope(request: ModelRequest) -> Scope:  # noqa: ARG001 - the shape of a scope function
    """A session a thread of the agent's checkpointer; without one, one session for all."""
    config = get_config().get("configurable", {})
    return Scope(session=str(config.get("thread_id", "default")))


@dataclass
class _Thread:
    """The agent's own messages as ours, as far as they were read."""

    messages: list[Message] = field(default_factory=list)
    last: AnyMessage | None = None


@dataclass(frozen=True, eq=False)
class MemoryMiddleware(AgentMiddleware):  # type: ignore[misc]  # LangChain is not type-checked here
    """Shows an agent's model the window that `memory` makes of the history; the agent's state stays whole.

    The state is the user's, in whatever checkpointer they have: messages are read from it and never
    changed. Edits are made once, kept in memory's own store and made again after a restart. `scope` says
    whose session a call belongs to. Messages must only be added to: a history that was rewritten raises
    BadInput, which names the session.
    """

    memory: Memory
    scope: Callable[[ModelRequest], Scope] = thread_scope
    _threads: dict[Scope, _Thread] = field(default_factory=dict, init=False, repr=False)

    tools = ()

    def wrap_model_call(
        self, request: ModelRequest, handler: Callable[[ModelRequest], ModelResponse]
    ) -> ModelResponse:
        """The model's answer to the window."""
        return handler(request.override(messages=self.window(request.messages, self.scope(request))))

    async def awrap_model_call(
        self, request: ModelRequest, handler: Callable[[ModelRequest], Awaitable[ModelResponse]]
    ) -> ModelResponse:
        """The same, awaited; a summary may call a model, so the window is made in a worker thread."""
        scope = self.scope(request)
        window = await asyncio.to_thread(self.window, request.messages, scope)
        return await handler(request.override(messages=window))

    def window(self, history: Sequence[AnyMessage], scope: Scope) -> list[AnyMessage]:
        """What the model is shown of this history; messages that are shown whole are the history's own."""
        thread = self._threads.setdefault(scope, _Thread())
        known = len(thread.messages)
        if known > len(history) or (known and history[known - 1] is not thread.last):
            thread.messages.clear()  # another list than last time: read it anew, memory compares
            known = 0
        thread.messages += [ours(history[place], place) for place in range(known, len(history))]
        thread.last = history[-1] if history else None
        own = {message.id: place for place, message in enumerate(thread.messages)}
        window = self.memory.compact(thread.messages, scope)
        return [_theirs(shown, thread.messages, own, history) for shown in window]


def ours(message: AnyMessage, place: int) -> Message:
    """A LangChain message as a value, with an id of its own in the history."""
    name = f"at-{place}"
    if isinstance(message, ToolMessage):
        failed = message.status == "error"
        part = Result(call_id=message.tool_call_id, text=str(message.text), is_error=failed)
        return Message(role="tool", parts=(part,), id=name)
    if isinstance(message, AIMessage):
        return values.answer(message).message.model_copy(update={"id": name})
    role = "system" if message.type == "system" else "user"
    return Message.model_validate(
        {"role": role, "parts": [p.model_dump() for p in _parts(message)], "id": name}
    )


def _parts(message: AnyMessage) -> list[Part]:
    """Words and images; blocks of other kinds are kept as they are."""
    if isinstance(message.content, str):
        return [Text(text=message.content)]
    found: list[Part] = []
    for block in message.content:
        if isinstance(block, str):
            found.append(Text(text=block))
        elif block.get("type") == "text":
            found.append(Text(text=block["text"]))
        elif block.get("type") in {"image", "image_url"}:
            found.append(Image(url=json.dumps(block)))
        else:
            found.append(Opaque(provider="langchain", payload=json.loads(json.dumps(block, default=str))))
    return found


def _theirs(
    shown: Message, messages: Sequence[Message], own: dict[str, int], history: Sequence[AnyMessage]
) -> AnyMessage:
    """The history's own message where it is shown as it was, else one that says what memory shows."""
    place = own.get(shown.id, -1)
    if place >= 0 and messages[place].parts == shown.parts:
        return history[place]
    (first, *_) = shown.parts
    if isinstance(first, Result):
        status = "error" if first.is_error else "success"
        name = history[place].name if place >= 0 else None
        return ToolMessage(first.text, tool_call_id=first.call_id, status=status, name=name)
    if shown.role == "assistant":
        calls = [
            {"id": call.id, "name": call.name, "args": dict(call.arguments), "type": "tool_call"}
            for call in shown.calls
        ]
        return AIMessage(shown.text, tool_calls=calls)
    return HumanMessage(shown.text)
