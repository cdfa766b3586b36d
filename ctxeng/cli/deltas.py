"""Deltas in one line each, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ctxeng.cli.common import clipped
from ctxeng.playbook.delta import Add, Delta, Merge, Redact, Remove, Tag, Update
from ctxeng.playbook.entry import Entry

SIGNS = {"add": "+", "update": "~", "merge": "=", "remove": "-", "tag": "^", "redact": "x"}
COLOURS = {
    "add": "green",
    "update": "yellow",
    "merge": "cyan",
    "remove": "red",
    "tag": "blue",
    "redact": "red",
}


def sentence(delta: Delta, width: int = 96) -> str:
    """What the delta does, after its sign."""
    match delta:
        case Add(entry=entry):
            body = f"[{entry.id}] {lesson(entry)}"
        case Update(id=name):
            body = f"[{name}] " + ", ".join(f"{field}: {value}" for field, value in delta.fields.items())
        case Merge(into=into):
            body = f"[{into}] takes in {', '.join(delta.others)}"
        case Remove(id=name, reason=reason):
            body = f"[{name}]{f' {reason}' if reason else ''}"
        case Tag(id=name, votes=votes):
            body = f"[{name}] " + ", ".join(f"{vote} {number:+}" for vote, number in votes.items())
        case Redact(id=name):
            body = f"[{name}]" if name else "a pattern"
    return f"{SIGNS[delta.op]} {clipped(body, width)}"


def lesson(entry: Entry) -> str:
    """An entry's condition and what it says."""
    return f"{entry.when} -> {entry.text}" if entry.when else entry.text


def counts(deltas: Iterable[Delta]) -> dict[str, int]:
    """How many deltas there are of each kind."""
    found: Counter[str] = Counter(delta.op for delta in deltas)
    return {op: found[op] for op in SIGNS if found[op]}


def counted(numbers: dict[str, int]) -> str:
    """The same in words."""
    return ", ".join(f"{number:,} {op}" for op, number in numbers.items()) or "nothing"
