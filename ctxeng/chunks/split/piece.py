"""Pieces of a document, the seam of splitting, and how pieces become chunks."""

from __future__ import annotations

import hashlib
import re
from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ctxeng.chunks.documents.document import Document
from ctxeng.errors import BadInput
from ctxeng.turn import Chunk

LIMIT = 256  # tokens: as much as all-MiniLM-L6-v2 reads of a text
_LEAST = 8  # tokens: so that one character always fits
_HEX = 10  # digits of a hash: of 10,000 chunks of one document, two are alike once in 20,000 documents
_UNSAFE = re.compile(r"[^\w./:-]+")


class Splitter(Protocol):
    """A way of cutting documents. A frozen dataclass whose fields are its options."""

    def split(self, document: Document) -> list[Chunk]:
        """Chunks in order; `document.text[chunk.start : chunk.end] == chunk.text` for each of them."""
        ...


@dataclass(frozen=True, slots=True)
class Piece:
    """What splitting does not cut again: a span of the text, and what it is to its neighbours."""

    start: int
    end: int
    title: str = ""  # of the chunk that it begins; "" for the document's own
    leads: bool = False  # belongs to what comes after it: a heading, "the rules are:"


def checked(limit: int) -> int:
    """The limit itself. Raises BadInput where it is too small for any text."""
    if limit < _LEAST:
        raise BadInput(f"limit is {limit} tokens; a chunk needs at least {_LEAST}")
    return limit


def chunks(document: Document, groups: Iterable[Sequence[Piece]]) -> list[Chunk]:
    """A chunk for each group of neighbouring pieces, titled as its first.

    An id is the source and a hash of title and text, so that it stays when other parts of the document
    change; texts that come again are numbered. Chunks of a document with pages name them in the title.
    """
    found: list[Chunk] = []
    seen: Tally[str] = Tally()
    name = _UNSAFE.sub("-", document.source)
    for group in groups:
        start, end = group[0].start, group[-1].end
        text = document.text[start:end]
        title = group[0].title or document.title
        title += _pages(document, start, end)
        digest = hashlib.sha256(f"{title}\0{text}".encode()).hexdigest()[:_HEX]
        seen[digest] += 1
        repeat = f"-{seen[digest]}" if seen[digest] > 1 else ""
        found.append(
            Chunk(
                id=f"{name}#{digest}{repeat}",
                text=text,
                source=document.source,
                title=title,
                start=start,
                end=end,
                trust=document.trust,
            )
        )
    return found


def _pages(document: Document, start: int, end: int) -> str:
    first, last = document.page_of(start), document.page_of(end - 1)
    if not first:
        return ""
    return f", page {first}" if first == last else f", pages {first}-{last}"
