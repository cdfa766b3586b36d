"""Prose as pieces: paragraphs, long ones by sentence, with tables kept whole."""

from __future__ import annotations

import re

from ctxeng.chunks.split.piece import Piece
from ctxeng.chunks.split.seams import PROSE, Fits, paragraphs, refine, shifted
from ctxeng.chunks.split.tables import table_parts, table_pieces
from ctxeng.text.sentences import Span

# one short line that ends like no sentence, or names a part of a book
_HEADING = re.compile(
    r"[^\n]{0,80}[^\s.,;!?…”\"'\u2019)\]}]\Z|(?:chapter|part|book|section|act|scene|appendix)\b[^\n]{0,80}\Z",
    re.IGNORECASE,
)


def prose_pieces(text: str, span: Span, title: str, fits: Fits) -> list[Piece]:
    """The span's paragraphs, those too long by sentence; a table is one piece, or its rows."""
    found: list[Piece] = []
    for paragraph in shifted(paragraphs(text[slice(*span)]), span[0]):
        for table, part in table_parts(text[slice(*paragraph)]):
            place = (paragraph[0] + part[0], paragraph[0] + part[1])
            if table:
                found += table_pieces(text, place, title, fits)
                continue
            leads = _leads(text[slice(*place)])
            found += [Piece(*each, title, leads=leads) for each in refine(text, place, PROSE[1:], fits)]
    return found


def _leads(paragraph: str) -> bool:
    """Whether it belongs to what comes next: it announces it, or looks like a heading."""
    return paragraph.endswith(":") or _HEADING.match(paragraph) is not None
