"""HTML tables to pipe tables, where they hold data; layout tables are left to their content."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_SPACE = re.compile(r"\s+")
_LAYOUT = "table, h1, h2, h3, h4, h5, h6, pre, ul, ol, form"  # a cell of data holds none of these
_WIDEST = 1_000  # columns that one cell may span, as browsers have it


def pipe_table(table: LexborNode, blocks: Collection[str]) -> str:
    """The table, its caption before it; "" where it is there for the layout or has fewer than two columns.

    The first row is the heading. A cell over several rows or columns stands in each of the rows, and in the
    first of the columns. `blocks` are the tags that part words.
    """
    held = [node for node in table.css(_LAYOUT) if node.mem_id != table.mem_id]
    if held or table.attributes.get("role") in {"presentation", "none"}:
        return ""
    rows = _grid(table.css("tr"), blocks)
    width = max((len(row) for row in rows), default=0)
    if width < 2 or len(rows) < 2:  # noqa: PLR2004 - no table to a reader
        return ""
    lines = ["| " + " | ".join(row + [""] * (width - len(row))) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * width)
    caption = table.css_first("caption")
    above = _words(caption, blocks) if caption else ""
    return (f"{above}\n\n" if above else "") + "\n".join(lines)


def _grid(rows: list[LexborNode], blocks: Collection[str]) -> list[list[str]]:
    """The words of every cell, in its column; rows without any cell are left out."""
    found: list[list[str]] = []
    reaching: dict[
        int, tuple[int, str]
    ] = {}  # a column: how many more rows a cell reaches down, and its words
    for row in rows:
        cells: list[str] = []
        below: dict[int, tuple[int, str]] = {}
        for cell in row.css("td, th"):
            _reach(cells, reaching, below)
            words = _words(cell, blocks).replace("|", "\\|")
            down = _number(cell, "rowspan") - 1
            if down > 0:
                below[len(cells)] = (down, words)
            cells += [words, *[""] * (_number(cell, "colspan") - 1)]
        _reach(cells, reaching, below)
        reaching = below
        if cells:
            found.append(cells)
    return found


def _reach(cells: list[str], reaching: dict[int, tuple[int, str]], below: dict[int, tuple[int, str]]) -> None:
    """Fill the next columns with the cells that reach into this row from above."""
    while len(cells) in reaching:
        down, words = reaching[len(cells)]
        if down > 1:
            below[len(cells)] = (down - 1, words)
        cells.append(words)


def _number(cell: LexborNode, name: str) -> int:
    given = cell.attributes.get(name) or ""
    return min(int(given), _WIDEST) if given.isdecimal() and int(given) > 0 else 1


def _words(cell: LexborNode, blocks: Collection[str]) -> str:
    parts = []
    for node in cell.traverse(include_text=True):
        if node.tag == "-text":
            parts.append(node.text_content or "")
        elif node.tag in blocks:
            parts.append(" ")
    return _SPACE.sub(" ", "".join(parts)).strip()
