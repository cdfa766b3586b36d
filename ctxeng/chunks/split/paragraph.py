"""Splitting by paragraph."""

from __future__ import annotations

from dataclasses import dataclass

from ctxeng.chunks.documents.document import Document
from ctxeng.chunks.split.pack import pack
from ctxeng.chunks.split.piece import LIMIT, checked, chunks
from ctxeng.chunks.split.prose import prose_pieces
from ctxeng.chunks.split.seams import paragraphs
from ctxeng.tokens import Counter, Estimate
from ctxeng.turn import Chunk


@dataclass(frozen=True)
class Paragraphs:
    """Paragraphs, put together up to `limit` tokens and, where one is longer, cut by sentence.

    Tables are kept whole. Without `merge` every paragraph is a chunk of its own.
    """

    limit: int = LIMIT
    counter: Counter = Estimate()
    merge: bool = True

    def __post_init__(self) -> None:
        checked(self.limit)

    def split(self, document: Document) -> list[Chunk]:
        """Chunks of at most `limit` tokens, in order, titled as the document is."""
        text = document.text

        def fits(part: str) -> bool:
            return self.counter.count(part) <= self.limit

        spans = [(0, len(text))] if self.merge else paragraphs(text)
        pieces = (prose_pieces(text, span, document.title, fits) for span in spans)
        return chunks(document, (run for each in pieces for run in pack(text, each, fits)))
