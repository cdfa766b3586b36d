"""What differs between a request and those on a cassette, in a few lines for people."""

from __future__ import annotations

import json
import os.path
from collections.abc import Mapping, Sequence
from typing import Any

_AROUND = 40  # characters shown from where two texts part
_LINES = 6


def what_changed(asked: Mapping[str, Any], recorded: Sequence[Mapping[str, Any]]) -> str:
    """The differences to the nearest recorded request."""
    if not recorded:
        return "nothing is recorded at all"
    nearest = max(recorded, key=lambda other: _likeness(asked, other))
    lines = _differences(asked, nearest)
    more = f"\n  ... and {len(lines) - _LINES} more" if len(lines) > _LINES else ""
    return "against the nearest recorded request:" + "".join(f"\n  {line}" for line in lines[:_LINES]) + more


def _likeness(asked: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """How alike two requests are: mostly by how much of their messages agrees from both ends."""
    first, second = json.dumps(asked["messages"]), json.dumps(other["messages"])
    ahead, behind = _agree(first, second), _agree(first[::-1], second[::-1])
    same: int = sum(asked[part] == other[part] for part in ("model", "tools", "ask"))
    alike = min(1.0, (ahead + behind) / max(len(first), len(second)))
    return 4 * alike + same


def _differences(asked: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    lines = []
    if asked["model"] != other["model"]:
        lines.append(f"model: recorded {other['model']!r}, asked {asked['model']!r}")
    for name in sorted({*asked["ask"], *other["ask"]}):
        before, now = other["ask"].get(name), asked["ask"].get(name)
        if before != now:
            lines.append(f"ask.{name}: recorded {_short(before)}, asked {_short(now)}")
    lines += _tools(asked["tools"], other["tools"])
    if len(asked["messages"]) != len(other["messages"]):
        lines.append(f"messages: recorded {len(other['messages'])}, asked {len(asked['messages'])}")
    for number, (now, before) in enumerate(zip(asked["messages"], other["messages"], strict=False), 1):
        lines += [
            f"message {number} ({now.get('role', '?')}) {part}: {_parting(before.get(part), now.get(part))}"
            for part in sorted({*now, *before})
            if now.get(part) != before.get(part)
        ]
    return lines


def _tools(asked: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> list[str]:
    now = {tool["function"]["name"]: tool for tool in asked}
    before = {tool["function"]["name"]: tool for tool in other}
    lines = [f"tool {name}: new" for name in now if name not in before]
    lines += [f"tool {name}: gone" for name in before if name not in now]
    lines += [
        f"tool {name}: {_parting(before[name], now[name])}"
        for name in now
        if name in before and now[name] != before[name]
    ]
    if not lines and list(now) != list(before):
        lines.append(f"tools: recorded in the order {_short(list(before))}, asked {_short(list(now))}")
    return lines


def _parting(before: Any, now: Any) -> str:
    """Where two values part, and how they go on."""
    first, second = _text(before), _text(now)
    start = _agree(first, second)
    shown = max(0, start - _AROUND // 2)
    return (
        f"at character {start}, recorded {_short(first[shown : start + _AROUND])}, "
        f"asked {_short(second[shown : start + _AROUND])}"
    )


def _agree(first: str, second: str) -> int:
    """Characters that two texts have in common at their beginning."""
    return len(os.path.commonprefix([first, second]))  # noqa: RUF071 - characters are what is meant


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 2 * _AROUND else shown[: 2 * _AROUND] + "..."
