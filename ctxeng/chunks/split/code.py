"""Splitting source code by its functions and classes."""

from __future__ import annotations

from dataclasses import dataclass

from ctxeng.chunks.documents.document import Document
from ctxeng.chunks.split.brace_code import brace_pieces
from ctxeng.chunks.split.pack import pack
from ctxeng.chunks.split.piece import LIMIT, checked, chunks
from ctxeng.chunks.split.python_code import python_pieces
from ctxeng.tokens import Counter, Estimate
from ctxeng.turn import Chunk


@dataclass(frozen=True)
class Code:
    """Functions and classes with the comments above them, each titled by its name ("Ledger.refund").

    Python is read by its own parser, whatever else and Python that does not parse by its blank lines,
    indentation and brackets. What is over `limit` tokens is cut further: classes by method, functions by
    statement, the rest by line.
    """

    limit: int = LIMIT
    counter: Counter = Estimate()

    def __post_init__(self) -> None:
        checked(self.limit)

    def split(self, document: Document) -> list[Chunk]:
        """Chunks of at most `limit` tokens, in order; what stands outside is titled as the document is."""
        text = document.text

        def fits(part: str) -> bool:
            return self.counter.count(part) <= self.limit

        pieces = python_pieces(text, fits) if document.kind == "python" else None
        return chunks(document, pack(text, brace_pieces(text, fits) if pieces is None else pieces, fits))
