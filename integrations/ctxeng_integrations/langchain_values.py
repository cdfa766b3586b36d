"""LangChain's messages and tools as ctxeng's values, and playbook notes as text in LangChain's messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, JsonValue, TypeAdapter

from ctxeng.render import HEADINGS, text_of
from ctxeng.turn import Answer, Call, Message, Part, Result, Section, Text, Tool, Usage

_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)


def question(messages: Sequence[AnyMessage]) -> tuple[int, Message]:
    """The newest human message: where it stands (-1: nowhere), and as a value that keeps its id."""
    for place in range(len(messages) - 1, -1, -1):
        found = messages[place]
        if isinstance(found, HumanMessage):
            name = found.id or f"message-{place}"
            return place, Message(role="user", parts=(Text(text=str(found.text)),), id=name)
    return -1, Message(role="user", parts=(Text(text=""),))


def answer(message: AIMessage, structured: object = None) -> Answer:
    """A model's reply with its text, its calls (also malformed ones) and what it was billed for."""
    parts: list[Part] = [Text(text=str(message.text))] if message.text else []
    parts += [
        Call(id=call["id"] or "", name=call["name"], arguments=call["args"]) for call in message.tool_calls
    ]
    parts += [
        Call(id=call["id"] or "", name=call["name"] or "", malformed=call["args"] or "")
        for call in message.invalid_tool_calls
    ]
    calls = any(isinstance(part, Call) for part in parts)
    return Answer(
        message=Message(role="assistant", parts=tuple(parts), id=message.id or ""),
        finish="calls" if calls else "stop",
        parsed=_plain(structured),
        usage={"answer": usage(message)},
        model=str(message.response_metadata.get("model_name", "")),
    )


def usage(message: AIMessage) -> Usage:
    """What the provider billed; inexact where the message says nothing of it."""
    billed = message.usage_metadata
    if billed is None:
        return Usage(calls=1, exact=False)
    cached = billed.get("input_token_details", {}).get("cache_read", 0)
    return Usage(calls=1, input=billed["input_tokens"], output=billed["output_tokens"], cached=cached)


def results(messages: Sequence[AnyMessage], calls: Sequence[Call]) -> tuple[Result, ...]:
    """What the calls returned, as far as the messages tell."""
    wanted = {call.id for call in calls}
    return tuple(
        Result(call_id=message.tool_call_id, text=str(message.text), is_error=message.status == "error")
        for message in messages
        if isinstance(message, ToolMessage) and message.tool_call_id in wanted
    )


def tool(given: Any) -> Tool | None:
    """A LangChain tool as a value; None for a provider's own tool, which has no schema to price."""
    if isinstance(given, Mapping) and "function" not in given:
        return None
    function = convert_to_openai_tool(given)["function"]
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    return Tool(name=function["name"], description=function.get("description", ""), parameters=parameters)


def with_notes(system: SystemMessage | None, notes: Sequence[Section]) -> SystemMessage | None:
    """The system message with the notes behind it; its own text and its cache marks stay as they are."""
    if not notes:
        return system
    text = _listed("playbook", notes)
    if system is None:
        return SystemMessage(content=text.lstrip())
    return system.model_copy(update={"content": _joined(system.content, text, behind=True)})


def with_data(message: AnyMessage, notes: Sequence[Section]) -> AnyMessage:
    """The question with notes that nobody has reviewed before it, as data."""
    if not notes:
        return message
    text = _listed("candidate", notes) + "\n\n"
    return message.model_copy(update={"content": _joined(message.content, text, behind=False)})


def _listed(heading: str, notes: Sequence[Section]) -> str:
    return HEADINGS[heading] + "\n".join(text_of(note) for note in notes)


def _joined(content: str | list[Any], text: str, *, behind: bool) -> str | list[Any]:
    if isinstance(content, str):
        return content + text if behind else text + content
    block = {"type": "text", "text": text.lstrip() if behind else text}
    return [*content, block] if behind else [block, *content]


def _plain(value: object) -> JsonValue:
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return _JSON.validate_python(value) if isinstance(value, dict | list | str | int | float) else None
