"""Sentences with their offsets: the sentencex rules inside each paragraph, item, heading or row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

import sentencex

Span = tuple[int, int]  # where a piece of text starts and ends, in characters

_LINE = re.compile(r"[^\n]+")
_HEADING = re.compile(r"[ ]{0,3}#{1,6}\s")
_RULE = re.compile(r"\s*([=\-~*_^])(?:[ ]*\1){2,}\s*\Z")  # also what underlines a heading
_ITEM = re.compile(r"\s*(?:[-*+•]|(?:(\d{1,3})|[a-zA-Z])[.)])\s+(?=\S)")
_CHAPTER = re.compile(r"\s*(?:chapter|part|book|section|act|scene)\s+[\dIVXLC]+\b[^\n]{0,80}", re.IGNORECASE)
_ROW = re.compile(r"\s*\|")
_AT_ONCE = 5_000  # characters given to sentencex at once; a paragraph is seldom longer
# sentencex 1.0 panics where such a space stands before a full stop ("Plan A\u00a0."); offsets stay the same
_WIDE_SPACE = re.compile(r"[^\S\x00-\x7f]")


def sentences(text: str, language: str = "en") -> list[Span]:
    """Where each sentence starts and ends: `text[start:end]` has no white space around it.

    In order, without overlap, and nothing but white space between them. A blank line ends a sentence; a list
    item, a heading and a table row begin one. `language` is an ISO 639 code of those sentencex knows; its
    English rules serve most scripts.
    """
    plain = _WIDE_SPACE.sub(" ", text).encode("utf-8", "replace").decode()
    found: list[Span] = []
    for start, body, end in _blocks(plain):
        whole = _ROW.match(plain, start, end) or _CHAPTER.fullmatch(plain, start, end)
        cuts = () if whole else _cuts(plain, body, end, language)
        edges = [start, *cuts, end]
        found += [
            stripped(text, left, right) for left, right in pairwise(edges) if not text[left:right].isspace()
        ]
    return found


def stripped(text: str, start: int, end: int) -> Span:
    """The span without the white space at its ends."""
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())


def _cuts(text: str, start: int, end: int, language: str) -> Iterator[int]:
    """Where sentences begin, but for the first. Read in parts: on many open quotes sentencex is quadratic."""
    while start < end:
        stop = min(start + _AT_ONCE, end)
        part = sentencex.get_sentence_boundaries(language, text[start:stop])
        found = [start + each["start_index"] for each in part[1:]]
        yield from found
        # the last sentence of a part may go on: read it again with what follows
        start = found[-1] if found and stop < end else stop


def _blocks(text: str) -> Iterator[tuple[int, int, int]]:
    """Start, start of the words (behind the mark of an item) and end of each paragraph, item, row ..."""
    start = body = end = -1  # of the block that is still open; -1: none is
    listed = False  # inside a list, any number goes on with it
    for line in _LINE.finditer(text):
        words = line[0]
        if start >= 0 and line.start() > end + 1:  # empty lines between
            yield start, body, end
            start, listed = -1, False
        if words.isspace():
            continue
        item = _ITEM.match(words)
        heading = _HEADING.match(words) is not None
        if start >= 0 and (heading or _ROW.match(words) or _begins_item(item, listed=listed)):
            yield start, body, end
            start = -1
        if start < 0:
            start = line.start()
            body = start + (item.end() if item else 0)
            listed = listed or item is not None
        end = line.end()
        if heading or _RULE.match(words):
            yield start, body, end
            start = -1
    if start >= 0:
        yield start, body, end


def _begins_item(item: re.Match[str] | None, *, listed: bool) -> bool:
    """Whether it ends the paragraph above; a number other than 1 does not, as CommonMark has it."""
    return item is not None and (listed or item[1] == "1" or not item[0].strip()[0].isalnum())
