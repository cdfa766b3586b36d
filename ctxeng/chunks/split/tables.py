"""Pipe tables: told from prose, and cut by rows under a title that holds their heading."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ctxeng.chunks.split.piece import Piece
from ctxeng.chunks.split.seams import LAYOUT, Fits, lines, refine, shifted
from ctxeng.text.sentences import Span

_PIPE = re.compile(r"(?<!\\)\|")
_DASHES = re.compile(r"[\s|:+=-]*-[\s|:+=-]*\Z")  # the line below the heading
_LONGEST = 200  # characters of a heading row in a title


def table_parts(text: str) -> Iterator[tuple[bool, Span]]:
    """The paragraph's runs of lines, each with whether it is a table: lines with as many pipes."""
    runs: list[tuple[int, Span, int]] = []  # pipes in every line, the span, its lines
    for start, end in lines(text):
        pipes = len(_PIPE.findall(text, start, end))
        if runs and runs[-1][0] == pipes:
            _, (begin, _), held = runs.pop()
            runs.append((pipes, (begin, end), held + 1))
        else:
            runs.append((pipes, (start, end), 1))
    prose: Span | None = None
    for pipes, span, held in runs:
        if pipes and held > 1:
            if prose:
                yield False, prose
            yield True, span
            prose = None
        else:
            prose = (prose[0] if prose else span[0], span[1])
    if prose:
        yield False, prose


def table_pieces(text: str, span: Span, title: str, fits: Fits) -> list[Piece]:
    """The table in one piece or, where it is too long, by rows.

    The chunks of a long table must be slices of it, so the heading row is not repeated in their text: it
    stands in the title of all rows but the first. The heading leads, so that it is never alone.
    """
    start, end = span
    if fits(text[start:end]):
        return [Piece(start, end, title)]
    rows = shifted(lines(text[start:end]), start)
    heading = " ".join(text[slice(*rows[0])].split())
    heading = heading if len(heading) <= _LONGEST else heading[: _LONGEST - 3] + "..."
    below = f"{title}: {heading}" if title else heading
    head = 2 if len(rows) > 1 and _DASHES.match(text, *rows[1]) else 1
    return [
        Piece(*part, below if place >= head else title, leads=place < head)
        for place, row in enumerate(rows)
        for part in refine(text, row, LAYOUT, fits)
    ]
