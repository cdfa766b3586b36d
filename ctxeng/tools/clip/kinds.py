"""What a text is, by looking at it: JSON, a table, a log, or else text (code and prose alike)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from ctxeng.tools.clip.json_tree import parsed
from ctxeng.tools.clip.log_clip import ERROR

Kind = Literal["json", "table", "log", "text"]

_LOOKED = 120  # lines at each end
_WIDE = 2_000  # characters of a line that are looked at
_ENOUGH = 0.9  # of the rows have as many cells as most
_STAMPED = 0.3  # of the lines begin as log lines do
_MARKDOWN_RULE = re.compile(r"\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?\s*\Z")
_STAMP = re.compile(
    r"\W{0,3}(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d|\d{4}/\d\d/\d\d \d\d:\d\d|\d\d:\d\d:\d\d"
    r"|\d\d/[A-Z][a-z]{2}/\d{4}:"
    r"|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d"
    r"|(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|FATAL|CRITICAL)\b)"
)
_TRACE = re.compile(r"Traceback \(most recent call last\)|^\s+at [\w.$<>]+\(|^E {2,}\S", re.MULTILINE)
_NUMBERED = re.compile(r"\s*\d+[:|]|\s+\d+\t")  # a view of a file: its lines are code whatever they hold
_CELL_GAP = re.compile(r"\s{2,}|\t+")


def kind_of(text: str) -> Kind:
    """The kind of text; "text" where nothing else is certain. Linear in its length."""
    if parsed(text) is not None:
        return "json"
    lines = looked_at(text)
    if is_table(lines):
        return "table"
    return "log" if _is_log(lines) else "text"


def looked_at(text: str) -> list[str]:
    """The first and the last lines that hold anything, each cut to a width."""
    ends = text if len(text) <= 2 * _LOOKED * _WIDE else text[: _LOOKED * _WIDE] + text[-_LOOKED * _WIDE :]
    lines = [line.rstrip("\r")[:_WIDE] for line in ends.split("\n") if line.strip()]
    return lines if len(lines) <= 2 * _LOOKED else lines[:_LOOKED] + lines[-_LOOKED:]


def is_table(lines: Sequence[str]) -> bool:
    """Whether the lines are rows: of Markdown, of values with a separator, or of columns set apart."""
    if len(lines) < 3 or sum(map(bool, map(_NUMBERED.match, lines))) > len(lines) / 2:  # noqa: PLR2004
        return False
    if "|" in lines[0] and _MARKDOWN_RULE.match(lines[1]) and "|" in lines[1]:
        return True
    return _separated(lines) or _aligned(lines)


def _separated(lines: Sequence[str]) -> bool:
    """CSV or TSV: the same separator as often on nearly every line; a comma alone is found in prose too."""
    for mark, fewest in (("\t", 1), (";", 2), ("|", 2), (",", 2)):
        counts = Counter(line.count(mark) for line in lines)
        often, rows = counts.most_common(1)[0]
        spaced = sum(line.count(mark + " ") for line in lines) > sum(line.count(mark) for line in lines) / 2
        if often >= fewest and rows >= _ENOUGH * len(lines) and not (mark in ",;" and spaced):
            return True
    return False


def _aligned(lines: Sequence[str]) -> bool:
    """Columns set apart by two spaces or more, as many on nearly every line (the first may be a total)."""
    counts = Counter(len(_CELL_GAP.split(line.strip())) for line in lines[1:])
    often, rows = counts.most_common(1)[0]
    return often >= 3 and len(lines) >= 4 and rows >= _ENOUGH * (len(lines) - 1)  # noqa: PLR2004


def _is_log(lines: Sequence[str]) -> bool:
    """Lines that begin with a time or a level, or a trace of an exception."""
    if not lines or sum(map(bool, map(_NUMBERED.match, lines))) > len(lines) / 2:
        return False
    stamped = sum(map(bool, map(_STAMP.match, lines)))
    if len(lines) >= 3 and stamped >= _STAMPED * len(lines):  # noqa: PLR2004
        return True
    text = "\n".join(lines)
    return _TRACE.search(text) is not None and ERROR.search(text) is not None
