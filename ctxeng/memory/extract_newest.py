"""Lines that say again what another says: of two that differ in one value alone, the newer stays."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ctxeng.memory.extract_lines import Line

_DAYS = "mon|tues|wednes|thurs|fri|satur|sun"
_MONTHS = (
    "january|february|march|april|may|june|july|august|september|october|november|december|"
    "jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec"
)
_NUMBER = rf"\d+(?:[.,:/-]\d+)*|\b(?:(?:{_DAYS})day|{_MONTHS})\b"
_NUMBERS = re.compile(_NUMBER)  # in lower case
# a name is a value only where it ends what says how things stand: two people may live in one place
_STATE = re.compile(
    r"^(.*\b(?:is|are|am|lives?|works?|uses?|prefers?|moved|changed|named|called)\b.*? )([A-Z][\w'-]*)(\W*)$"
)
_SPEAKERS = ("user", "assistant")  # tools list things that differ in one value


def newest_of(lines: Sequence[Line]) -> list[Line]:
    """Without what is said again, and without values that a later message replaces; in order.

    Replaced is a line by a later one of another record and the same role with the same words and one other
    number, day or month, or another name at its end. What one record lists stays.
    """
    latest: dict[tuple[str, str, int], tuple[Line, list[str]]] = {}
    gone: set[int] = set()
    for line in lines:
        frame, values = _framed(line)
        key = (line.role, frame, len(values))
        older = latest.get(key)
        if older is not None and _replaces(line, values, *older):
            gone.add(older[0].place)
        latest[key] = line, values
    return [line for line in lines if line.place not in gone]


def _framed(line: Line) -> tuple[str, list[str]]:
    """The line without its values, and those."""
    state = _STATE.match(line.text) if line.role in _SPEAKERS else None
    bare = (f"{state[1]}={state[3]}" if state else line.text).casefold()
    named = [state[2].casefold()] if state else []
    return _NUMBERS.sub("#", bare), [*_NUMBERS.findall(bare), *named]


def _replaces(line: Line, now: Sequence[str], older: Line, before: Sequence[str]) -> bool:
    changed = sum(a != b for a, b in zip(now, before, strict=True))
    return changed == 0 or (changed == 1 and line.source != older.source and line.role in _SPEAKERS)
