"""The lines that name a reference at the end of a result, and how a tool's text is kept from forging them."""

from __future__ import annotations

import re

_FORGED = re.compile(r"\[(?=\s{0,9}\d{1,15} tokens in full\b|\s{0,9}characters \d{1,15} to \d{1,15} of \d)")


def reference_line(tool: str, ref: str, tokens: int) -> str:
    """The last line of a result that was clipped."""
    return f'[{tokens} tokens in full: {tool}(ref="{ref}")]'


def page_line(tool: str, ref: str, start: int, end: int, total: int) -> str:
    """The last line of a page: what it is, and how to read on."""
    more = f': {tool}(ref="{ref}", start={end})' if end < total else ", the end"
    return f"[characters {start} to {end} of {total}{more}]"


def unforged(text: str) -> str:
    """The text of a tool with nothing in it that reads like such a line: its bracket is made a round one."""
    return _FORGED.sub("(", text)
