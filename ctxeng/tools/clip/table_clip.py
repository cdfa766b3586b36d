"""Tables, clipped: the header, the rows that match the query, the first and the last ones."""

from __future__ import annotations

import re

from ctxeng.text.sentences import Span
from ctxeng.tools.clip.asked import relevance
from ctxeng.tools.clip.fit import Fits
from ctxeng.tools.clip.lines import Kept, by_rank, ends, line_spans

_RULE = re.compile(r"[\s|:+=-]*[-=]{2}[\s|:+=-]*\Z")  # the line under a header, or around a table
_HEAD, _TAIL = 4.0, 2.0  # rows
_MATCH = 2.0  # a row that matches goes before any that merely stands at an end
_HEADER = 10.0
_OPEN = 50  # lines of one row with line breaks inside quotes


def clip_table(text: str, query: str, fits: Fits) -> str | None:
    """The header and the best rows that fit, with counts of the rest; None if not one row does."""
    spans = row_spans(text)
    rows = [text[start:stop] for start, stop in spans]
    scores = _MATCH * relevance(rows, query) + ends(len(rows), _HEAD, _TAIL)
    header = next((place for place, row in enumerate(rows) if row.strip() and not _RULE.match(row)), 0)
    scores[: header + 1] += _HEADER
    if header + 1 < len(rows) and _RULE.match(rows[header + 1]):
        scores[header + 1] += _HEADER
    return Kept(text, spans, by_rank(scores), "rows").clip(fits)


def row_spans(text: str) -> list[Span]:
    """Lines, but one with an open double quote goes on to the line that closes it, within 50 lines."""
    found: list[Span] = []
    start, behind = -1, 0
    for left, right in line_spans(text):
        odd = text.count('"', left, right) % 2 == 1
        if start < 0 and odd:
            start, behind = left, 1
        elif start >= 0 and not odd and behind < _OPEN:
            behind += 1
        else:
            found.append((left if start < 0 else start, right))
            start = -1
    if start >= 0:
        found.append((start, len(text)))
    return found
