"""One long session of real tool calls: tau-bench dialogues joined, as an application would have them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctxeng.message import Call, Message, Result, Text
from ctxeng_evals.datasets import folder

FILE = "tau-bench-airline/gpt-4o_trials0-1.jsonl"
DIALOGUES = 60


@dataclass(frozen=True)
class Joined:
    """Messages without system texts; `calls` are the places before which the model was called."""

    messages: tuple[Message, ...]
    calls: tuple[int, ...]

    def first(self, count: int) -> Joined:
        """The first so many messages."""
        return Joined(self.messages[:count], tuple(place for place in self.calls if place < count))


def joined(data: Path | None = None) -> Joined:
    """The first sixty dialogues, one after another, calls with ids of their own. Needs the data folder."""
    lines = ((data or folder()) / FILE).read_text(encoding="utf-8").splitlines()[:DIALOGUES]
    messages = [m for nth, line in enumerate(lines) for m in _messages(json.loads(line)["traj"], nth)]
    calls = tuple(place for place, message in enumerate(messages) if message.role == "assistant" and place)
    return Joined(tuple(messages), calls)


def loop(steps: int, joint: Joined) -> Joined:
    """A session of one question and nothing but tool calls, with the results of real ones."""
    results = [m.text for m in joint.messages if m.role == "tool"]
    messages = [Message(role="user", parts=(Text(text="Check every reservation, one after another."),))]
    for step in range(steps):
        call = Call(id=f"loop{step}", name="get_reservation_details", arguments={"step": step})
        result = Result(call_id=call.id, text=results[step % len(results)])
        messages += [Message(role="assistant", parts=(call,)), Message(role="tool", parts=(result,))]
    places = tuple(place for place, message in enumerate(messages) if message.role == "assistant")
    return Joined(tuple(messages), places)


def _messages(trajectory: Sequence[Any], nth: int) -> Iterator[Message]:
    for raw in trajectory:
        if raw["role"] == "system":
            continue
        text = raw.get("content") or ""
        if raw["role"] == "tool":
            yield Message(role="tool", parts=(Result(call_id=f"{nth}-{raw['tool_call_id']}", text=text),))
            continue
        calls = tuple(
            Call(
                id=f"{nth}-{call['id']}",
                name=call["function"]["name"],
                arguments=json.loads(call["function"]["arguments"]),
            )
            for call in raw.get("tool_calls") or ()
        )
        words = (Text(text=text),) if text.strip() else ()
        yield Message(role=raw["role"], parts=(*words, *calls))
