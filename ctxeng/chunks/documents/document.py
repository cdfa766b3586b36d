"""A document: the text that chunks are cut from, and what is known of it."""

from __future__ import annotations

from bisect import bisect_right
from typing import Literal

from ctxeng.message import WellFormed
from ctxeng.turn import Trust, Value

Kind = Literal["text", "markdown", "python", "code"]  # how its text is to be split


class Document(Value):
    """A text with its source: a relative path with forward slashes, or any other name that is its own.

    The offsets of chunks count characters of `text`. For plain text, Markdown and code that is the file as
    Python's text mode reads it; for HTML and PDF it is the text that was made of the file. `pages` says where
    each page begins, and is empty where there are none.
    """

    source: WellFormed
    text: WellFormed
    kind: Kind = "text"
    title: WellFormed = ""
    trust: Trust = "untrusted"
    pages: tuple[int, ...] = ()

    def page_of(self, offset: int) -> int:
        """The number of the page that the character stands on, from 1; 0 for a document without pages."""
        return bisect_right(self.pages, offset)
