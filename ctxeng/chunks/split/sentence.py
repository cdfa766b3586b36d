"""Splitting by sentence."""

from __future__ import annotations

from dataclasses import dataclass

from ctxeng.chunks.documents.document import Document
from ctxeng.chunks.split.pack import fill
from ctxeng.chunks.split.piece import LIMIT, Piece, checked, chunks
from ctxeng.chunks.split.seams import PROSE
from ctxeng.text.sentences import sentences
from ctxeng.tokens import Counter, Estimate
from ctxeng.turn import Chunk


@dataclass(frozen=True)
class Sentences:
    """A chunk a sentence; one of over `limit` tokens is cut at its lines, then words.

    `language` is an ISO 639 code, as `ctxeng.text.sentences` takes it.
    """

    limit: int = LIMIT
    counter: Counter = Estimate()
    language: str = "en"

    def __post_init__(self) -> None:
        checked(self.limit)

    def split(self, document: Document) -> list[Chunk]:
        """A chunk for each sentence, in order, titled as the document is."""
        text = document.text
        return chunks(
            document,
            (
                [Piece(*part)]
                for sentence in sentences(text, self.language)
                for part in fill(
                    text, sentence, PROSE[2:], lambda part: self.counter.count(part) <= self.limit
                )
            ),
        )
