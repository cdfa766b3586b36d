"""Records as a summariser reads them: whole, in pieces of bounded size, nothing left out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from ctxeng.memory.record import Record
from ctxeng.message import Call, Image, Result
from ctxeng.text.sentences import sentences
from ctxeng.tokens import Counter

_FORGED = re.compile(r"^(?=(?:- )?\[m\d+ \w+\] )", re.MULTILINE)  # words that look like a record's head
_LONGEST = 16  # characters a token; what is longer is not counted whole, which would take its square


def told(record: Record) -> str:
    """A record as text: its id, who said it, its words, the calls it makes, which call a result answers.

    Only its own head looks like one at the start of a line: before words that do, a backslash is put.
    """
    message = record.message
    said: list[str] = []
    for part in message.parts:
        if isinstance(part, Call):
            arguments = part.malformed or json.dumps(part.arguments, ensure_ascii=False)
            said.append(f"calls {part.name}({arguments}) as {part.id}")
        elif isinstance(part, Result):
            failed = ", an error" if part.is_error else ""
            said.append(f"(result of {part.call_id}{failed}) {part.text}")
        elif isinstance(part, Image):
            said.append("(an image)")
        elif part.type == "text":
            said.append(part.text)
    return f"[{record.id} {message.role}] " + _FORGED.sub(r"\\", " ".join(said))


def pieces(records: Sequence[Record], count: Counter, most: int) -> list[str]:
    """The records' texts joined to pieces of at most `most` tokens; what is longer is split, losing nothing.

    A record is split at the ends of lines or sentences where it can be, else between characters.
    """
    parts = [part for record in records for part in _split(told(record), count, most)]
    found: list[str] = []
    start = 0
    while start < len(parts):
        end, left = start, most
        while end < len(parts) and (end == start or count.count(parts[end]) + 1 <= left):
            left -= count.count(parts[end]) + 1
            end += 1
        while end > start + 1 and count.count("\n".join(parts[start:end])) > most:
            end -= 1  # joined, they cost more than one by one
        found.append("\n".join(parts[start:end]))
        start = end
    return found


def _split(text: str, count: Counter, most: int) -> Iterator[str]:
    while len(text) > most * _LONGEST or count.count(text) > most:
        cut = _cut(text, count, most)
        yield text[:cut]
        rest = text[cut:]
        # a cut could make a head of what stood inside a line; one character a piece is no place for a head
        text = f"\\{rest}" if cut > 1 and _FORGED.match(rest) else rest
    yield text


def _cut(text: str, count: Counter, most: int) -> int:
    """Where the longest beginning ends that fits: behind a line or a sentence, where one ends in its half."""
    low, high = 1, min(len(text), most * _LONGEST)
    while low < high:
        middle = (low + high + 1) // 2
        if count.count(text[:middle]) <= most:
            low = middle
        else:
            high = middle - 1
    line = text.rfind("\n", low // 2, low) + 1
    ends = [end for _, end in sentences(text[:low]) if low // 2 < end < low]
    return line or (ends[-1] if ends else low)
