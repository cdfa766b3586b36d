"""Line numbers to offsets, as Python's and Markdown's parsers count lines."""

from __future__ import annotations

import re

from ctxeng.text.sentences import Span

_NEWLINE = re.compile(r"\r\n?|\n")  # str.splitlines knows ten more, which no parser counts


class LineMap:
    """Where each line of a text begins. Lines are numbered from 0."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0, *(found.end() for found in _NEWLINE.finditer(text)), len(text)]

    def span(self, first: int, last: int) -> Span:
        """The lines from `first` up to `last`, without blank lines before and white space behind."""
        start = self.starts[min(first, len(self.starts) - 1)]
        end = self.starts[min(last, len(self.starts) - 1)]
        held = self.text[start:end]
        blank = len(held) - len(held.lstrip())
        line = max(held.rfind("\n", 0, blank), held.rfind("\r", 0, blank)) + 1
        return start + line, max(start + line, start + len(held.rstrip()))
