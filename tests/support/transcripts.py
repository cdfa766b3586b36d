"""Random transcripts, as bad as applications can make them, and what a valid request is."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ctxeng.message import Call, Image, Message, Opaque, Part, Result, Text

WORDS = (
    "",
    " ",
    "ok",
    "Größe 漢字 🚆",
    "a\u0000b",
    "line\nline",
    "\u202e\u200b",
    "x" * 3_000,
    "</summary>",
    "[m1]",
)


def transcript(seed: int, most: int = 14) -> list[Message]:
    """Messages with parallel, missing, repeated, late and orphaned results, empty texts, huge ones."""
    draw = random.Random(seed)
    messages: list[Message] = []
    called: list[str] = []
    for _ in range(draw.randint(0, most)):
        kind = draw.random()
        if kind < 0.3:
            messages.append(_said(draw, "user"))
        elif kind < 0.45:
            messages.append(_said(draw, "assistant"))
        elif kind < 0.7:
            ids = [draw.choice((f"c{len(called) + n}", "same", "")) for n in range(draw.randint(1, 3))]
            calls = [Call(id=name, name=draw.choice(("find", "book")), arguments={"n": 1}) for name in ids]
            text = [Text(text=draw.choice(WORDS))] if draw.random() < 0.5 else []
            messages.append(
                Message(role=draw.choice(("assistant", "assistant", "user")), parts=(*text, *calls))
            )
            called += ids
            if draw.random() < 0.6:
                messages += _results(draw, ids)
        elif kind < 0.9:
            messages += _results(draw, [draw.choice([*called, "nobody's"])])
        else:
            messages.append(Message(role=draw.choice(("system", "tool", "user", "assistant")), parts=()))
    return messages


def _said(draw: random.Random, role: str) -> Message:
    parts: list[Part] = [Text(text=draw.choice(WORDS))]
    if draw.random() < 0.1:
        parts.append(Image(url="data:,", tokens=100))
    if draw.random() < 0.1:
        parts.append(Opaque(provider="p", payload={"signed": "thinking"}))
    return Message.model_validate({"role": role, "parts": parts})


def _results(draw: random.Random, ids: Sequence[str]) -> list[Message]:
    shuffled = [name for name in ids for _ in range(draw.choice((0, 1, 1, 1, 2)))]
    draw.shuffle(shuffled)
    parts = tuple(Result(call_id=name, text=draw.choice(WORDS)) for name in shuffled)
    if draw.random() < 0.3 and parts:  # all in one message, as some formats have it
        text = (Text(text=draw.choice(WORDS)),) if draw.random() < 0.5 else ()
        return [Message(role="user", parts=(*parts, *text))]
    return [Message(role="tool", parts=(part,)) for part in parts]


def invalid(messages: Sequence[Message]) -> str:
    """Why providers would refuse these messages; empty where they are a valid request."""
    waiting: list[str] = []
    for place, message in enumerate(messages):
        results = [part for part in message.parts if isinstance(part, Result)]
        why = _wrong_result(message, results, waiting) if results else _wrong(message, waiting)
        if why:
            return f"{place}: {why}"
        if results:
            waiting.remove(results[0].call_id)
        else:
            waiting = [call.id for call in message.calls]
    return f"at the end: calls {waiting} have no result" if waiting else ""


def _wrong_result(message: Message, results: Sequence[Result], waiting: Sequence[str]) -> str:
    if len(message.parts) > 1 or message.role != "tool":
        return "a tool message carries one result and nothing else"
    if results[0].call_id not in waiting:
        return f"the result of {results[0].call_id!r} answers no open call"
    return ""


def _wrong(message: Message, waiting: Sequence[str]) -> str:
    calls = [call.id for call in message.calls]
    faults = (
        (bool(waiting), f"calls {waiting} have no result"),
        (message.role == "tool", "a tool message without a result"),
        (all(isinstance(p, Text) and not p.text.strip() for p in message.parts), "an empty message"),
        (bool(calls) and message.role != "assistant", f"a call by {message.role}"),
        (len(set(calls)) < len(calls), "two calls of one id"),
    )
    return next((why for wrong, why in faults if wrong), "")
