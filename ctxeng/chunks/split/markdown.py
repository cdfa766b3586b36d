"""Splitting Markdown by its headings and blocks, through markdown-it-py's line maps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from ctxeng.chunks.documents.document import Document
from ctxeng.chunks.split.line_map import LineMap
from ctxeng.chunks.split.pack import pack
from ctxeng.chunks.split.piece import LIMIT, Piece, checked, chunks
from ctxeng.chunks.split.prose import prose_pieces
from ctxeng.chunks.split.seams import LAYOUT, PROSE, Fits, refine
from ctxeng.chunks.split.tables import table_pieces
from ctxeng.errors import MissingExtra
from ctxeng.text.sentences import Span
from ctxeng.tokens import Counter, Estimate
from ctxeng.turn import Chunk

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

PATH = " > "  # between the headings of a title
_FRONT = re.compile(r"\A---[ \t]*\n(?=[\w-]+:)(?:(?!---|\.\.\.)[^\n]*\n)*(?:---|\.\.\.)[ \t]*(?:\n|\Z)")
_LINK = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
_LONGEST = 200  # characters of a heading in a title
_EMPHASIS = re.compile(r"[`*]+|\s*\{#[^}]*\}\s*$")


@dataclass(frozen=True)
class Markdown:
    """Sections titled by the path of their headings ("Manual > Refunds"), cut where over `limit` tokens.

    Blocks of one section are put together up to the limit; a fence, a table or a list is cut only where it
    alone is longer, a list by its items and a table by rows. A heading stays with what follows it.
    """

    limit: int = LIMIT
    counter: Counter = Estimate()

    def __post_init__(self) -> None:
        checked(self.limit)

    def split(self, document: Document) -> list[Chunk]:
        """Chunks of at most `limit` tokens, in order. Raises MissingExtra without markdown-it-py."""
        text = document.text

        def fits(part: str) -> bool:
            return self.counter.count(part) <= self.limit

        bare: set[int] = set()  # where headings begin that the title repeats: alone they are no chunk
        pieces = list(_pieces(document, fits, bare))
        for place in reversed(range(len(pieces) - 1)):
            if {pieces[place].start, pieces[place + 1].start} <= bare:  # a heading right above a deeper one
                pieces[place] = replace(pieces[place], title=pieces[place + 1].title)
        groups = pack(text, pieces, fits)
        return chunks(document, (group for group in groups if {piece.start for piece in group} - bare))


@dataclass(frozen=True)
class _Block:
    """A block of the top level."""

    kind: str
    span: Span
    level: int = 0  # of a heading
    words: str = ""  # of a heading
    items: list[Span] = field(default_factory=list)  # of a list


def _pieces(document: Document, fits: Fits, bare: set[int]) -> Iterator[Piece]:
    """The document's pieces; adds the beginnings of headings that have something below them to `bare`."""
    path: list[tuple[int, str]] = []
    title = document.title
    text = document.text
    found = _blocks(text)
    for place, block in enumerate(found):
        after = found[place + 1] if place + 1 < len(found) else None
        if not block.level:
            pieces = _cut(text, block, title, fits)
            if pieces and (after is None or after.level):
                pieces[-1] = replace(pieces[-1], leads=False)  # the next section is none of its business
            yield from pieces
            continue
        path = [*(above for above in path if above[0] < block.level), (block.level, block.words)]
        # a heading with nothing but a deeper one below it goes with that
        empty = after is None or 0 < after.level <= block.level
        title = PATH.join(words for _, words in path)
        parts = refine(text, block.span, PROSE, fits)
        if len(parts) == 1 and not empty and len(block.words) < _LONGEST:
            bare.add(parts[0][0])
        yield from (Piece(*part, title, leads=not empty) for part in parts)


def _cut(text: str, block: _Block, title: str, fits: Fits) -> list[Piece]:
    """One piece, or what the block is made of where it is too long."""
    if block.kind == "table":
        return table_pieces(text, block.span, title, fits)
    if block.kind == "paragraph":
        return prose_pieces(text, block.span, title, fits)
    if fits(text[slice(*block.span)]):
        return [Piece(*block.span, title)]
    seams = LAYOUT if block.kind in {"fence", "code_block", "front"} else PROSE
    spans = block.items or [block.span]
    return [Piece(*part, title) for span in spans for part in refine(text, span, seams, fits)]


def _blocks(text: str) -> list[_Block]:
    """The blocks of the top level; each reaches up to the next, so that nothing stands between them."""
    lines = LineMap(text)
    front = _FRONT.match(text)
    skipped = front[0].count("\n") if front else 0
    # blank lines in place of the front matter keep the numbers of the lines
    parsed = "\n" * skipped + text[front.end() :] if front else text
    tokens = [(token, token.map) for token in _parser().parse(parsed) if token.map]
    tops = [place for place, (token, _) in enumerate(tokens) if token.level == 0]
    begins = [tokens[place][1][0] for place in tops]
    ends = [*begins[1:], len(lines.starts)]
    found = [
        _Block("front", lines.span(0, skipped)),
        # definitions of links are no tokens; behind the first block, they go with the one before them
        _Block("definitions", lines.span(skipped, begins[0] if begins else len(lines.starts))),
    ]
    for place, after, begin, end in zip(tops, [*tops[1:], len(tokens)], begins, ends, strict=False):
        token, inside = tokens[place][0], tokens[place + 1 : after]
        items = [at[0] for each, at in inside if each.type == "list_item_open" and each.level == 1]
        heading = token.type == "heading_open"
        found.append(
            _Block(
                token.type.removesuffix("_open"),
                lines.span(begin, end),
                level=int(token.tag[1]) if heading else 0,
                words=_words(inside[0][0].content[:1_000]) if heading and inside else "",
                items=[lines.span(*each) for each in pairwise([*items, end])],
            )
        )
    return [block for block in found if block.span[0] < block.span[1]]


@lru_cache
def _parser() -> MarkdownIt:
    try:
        from markdown_it import MarkdownIt  # noqa: PLC0415 - an optional dependency
    except ImportError as error:
        raise MissingExtra("docs", "markdown-it-py") from error
    # blocks and their lines are all that is asked for; what stands inside lines takes most of the time
    return MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])


def _words(heading: str) -> str:
    """A heading's text without its marks."""
    return _EMPHASIS.sub("", _LINK.sub(r"\1", heading)).strip()[:_LONGEST]
