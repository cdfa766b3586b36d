"""LangChain's and langmem's compaction, driven over a session call by call, with a model that records."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ctxeng.extras import installed
from ctxeng.message import Message, Result
from ctxeng_evals.bench.transcript import Joined

Count = Callable[[str], int]
_ANSWER = "The user is looking at reservations; details were looked up."


@dataclass
class Window:
    """Texts of the messages that the model is shown at one call; `read` is what a summariser was given."""

    texts: list[str]
    read: list[str] = field(default_factory=list)


def context_editing(joint: Joined, count: Count, trigger: int, least: int) -> Iterator[Window]:
    """ContextEditingMiddleware with ClearToolUsesEdit, keep 3."""
    from langchain.agents.middleware import (  # noqa: PLC0415 - an extra
        ClearToolUsesEdit,
        ContextEditingMiddleware,
        ModelRequest,
        ModelResponse,
    )
    from langchain_core.language_models import FakeListChatModel  # noqa: PLC0415
    from langchain_core.messages import AIMessage  # noqa: PLC0415

    history = lang(joint.messages)
    edit = ClearToolUsesEdit(trigger=trigger, keep=3, clear_at_least=least)
    middleware = ContextEditingMiddleware(edits=[edit], token_counter=lambda given: _tokens(given, count))
    model = FakeListChatModel(responses=[""])
    for place in joint.calls:
        shown: list[Any] = []

        def called(request: Any, shown: list[Any] = shown) -> Any:
            shown.extend(request.messages)
            return ModelResponse(result=[AIMessage("")])

        middleware.wrap_model_call(ModelRequest(model=model, messages=history[:place]), called)
        yield Window([text_of(message) for message in shown])


def summarization(
    joint: Joined, count: Count, trigger: int, keep: int = 20, *, trim: int | None = 4_000
) -> Iterator[Window]:
    """SummarizationMiddleware, by default keeping 20 messages and trimming what it reads to 4,000 tokens."""
    from langchain.agents.middleware import SummarizationMiddleware  # noqa: PLC0415 - an extra
    from langchain_core.language_models import FakeListChatModel  # noqa: PLC0415
    from langgraph.graph.message import add_messages  # noqa: PLC0415
    from langgraph.runtime import Runtime  # noqa: PLC0415

    read: list[str] = []

    def summary(given: Sequence[Any]) -> str:
        read.extend(text_of(message) for message in given)
        return _ANSWER

    middleware = SummarizationMiddleware(
        model=FakeListChatModel(responses=[_ANSWER]),  # for its profile only
        trigger=("tokens", trigger),
        keep=("messages", keep),
        token_counter=lambda given: _tokens(given, count),
        trim_tokens_to_summarize=trim,
        summarizer=summary,
    )
    history, state, seen = lang(joint.messages), [], 0
    for place in joint.calls:
        state.extend(history[seen:place])
        seen = place
        read.clear()
        update = middleware.before_model({"messages": state}, Runtime())
        if update is not None:
            state = list(add_messages(state, update["messages"]))
        yield Window([text_of(message) for message in state], list(read))


def langmem(joint: Joined, count: Count, most: int) -> Iterator[Window]:
    """The summaries of langmem; none where it is not installed."""
    if not installed("langmem"):
        return
    from langchain_core.messages import AIMessage  # noqa: PLC0415
    from langchain_core.runnables import RunnableLambda  # noqa: PLC0415
    from langmem.short_term import SummarizationResult, summarize_messages  # noqa: PLC0415

    read: list[str] = []

    def answer(prompt: Any) -> Any:
        read.append(prompt.to_string() if hasattr(prompt, "to_string") else str(prompt))
        return AIMessage(_ANSWER)

    history, result = lang(joint.messages), SummarizationResult(messages=[])
    for place in joint.calls:
        read.clear()
        result = summarize_messages(
            history[:place],
            running_summary=result.running_summary,
            model=RunnableLambda(answer),
            max_tokens=most,
            max_summary_tokens=256,
            token_counter=lambda given: _tokens(given, count),
        )
        yield Window([text_of(message) for message in result.messages], list(read))


def lang(messages: Sequence[Message]) -> list[Any]:
    """Our messages as LangChain's."""
    from langchain_core.messages import AIMessage, HumanMessage, ToolMessage  # noqa: PLC0415 - an extra

    made: list[Any] = []
    for place, message in enumerate(messages):
        (first, *_) = message.parts
        if isinstance(first, Result):
            made.append(ToolMessage(first.text, tool_call_id=first.call_id, id=str(place)))
        elif message.role == "assistant":
            calls = [
                {"id": call.id, "name": call.name, "args": dict(call.arguments), "type": "tool_call"}
                for call in message.calls
            ]
            made.append(AIMessage(message.text, tool_calls=calls, id=str(place)))
        else:
            made.append(HumanMessage(message.text, id=str(place)))
    return made


def text_of(message: Any) -> str:
    """A LangChain message as one text: its words and its calls."""
    calls = [
        f"{call['name']}({json.dumps(call['args'])})" for call in getattr(message, "tool_calls", None) or ()
    ]
    return "\n".join([str(message.text), *calls])


def _tokens(messages: Sequence[Any], count: Count) -> int:
    return sum(4 + count(text_of(message)) for message in messages)
