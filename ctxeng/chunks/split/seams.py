"""Where text may be cut, from coarse to fine: paragraphs, sentences, lines, words, characters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from ctxeng.text.sentences import Span, sentences, stripped

Fits = Callable[[str], bool]  # whether a text is within the limit
Seam = Callable[[str], list[Span]]  # a text's parts: in order, without the white space around them

_PARAGRAPH = re.compile(r"\S[^\n]*(?:\n(?![^\S\n]*\n)[^\n]*)*")
_LINE = re.compile(r"\S[^\n]*")
_BLOCK = re.compile(r"^[^\S\n]*" + _PARAGRAPH.pattern, re.MULTILINE)
_INDENTED = re.compile(r"^[^\S\n]*" + _LINE.pattern, re.MULTILINE)
_WORD = re.compile(r"\S{1,32}")  # longer runs are no words: base64, or a script without spaces


def paragraphs(text: str) -> list[Span]:
    """What blank lines part."""
    return [stripped(text, *found.span()) for found in _PARAGRAPH.finditer(text)]


def lines(text: str) -> list[Span]:
    """The lines that hold anything."""
    return [stripped(text, *found.span()) for found in _LINE.finditer(text)]


def blocks(text: str) -> list[Span]:
    """What blank lines part, with the indentation of its first line."""
    return _indented(_BLOCK, text)


def indented(text: str) -> list[Span]:
    """The lines that hold anything, with their indentation."""
    return _indented(_INDENTED, text)


def words(text: str) -> list[Span]:
    """What white space parts; runs of over 32 characters are cut after every 32."""
    return [found.span() for found in _WORD.finditer(text)]


def characters(text: str) -> list[Span]:
    """Every character that is not white space."""
    return [(place, place + 1) for place, character in enumerate(text) if not character.isspace()]


PROSE: tuple[Seam, ...] = (paragraphs, sentences, lines, words, characters)
LAYOUT: tuple[Seam, ...] = (blocks, indented, words, characters)  # code, and what else stands in lines


def refine(text: str, span: Span, seams: Sequence[Seam], fits: Fits) -> list[Span]:
    """The span, or its parts at the coarsest seams at which every part fits."""
    start, end = span
    if fits(text[start:end]) or not seams:
        return [span]
    return [
        found
        for left, right in seams[0](text[start:end])
        for found in refine(text, (start + left, start + right), seams[1:], fits)
    ]


def shifted(spans: Iterable[Span], by: int) -> list[Span]:
    """The spans, moved."""
    return [(start + by, end + by) for start, end in spans]


def _indented(pattern: re.Pattern[str], text: str) -> list[Span]:
    return [(found.start(), found.start() + len(found[0].rstrip())) for found in pattern.finditer(text)]
