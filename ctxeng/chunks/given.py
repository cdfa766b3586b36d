"""The chunks a request brings, as a source: all if they fit, else the most relevant, in their given order."""

from __future__ import annotations

from dataclasses import dataclass

from ctxeng.protocols import Allowance
from ctxeng.retrieval.lexical import Lexical
from ctxeng.turn import Request, Section


@dataclass(frozen=True)
class GivenChunks:
    """`request.chunks`, ranked by BM25 against the query where they do not all fit."""

    def quiet(self, request: Request) -> bool:
        """Whether the request brings no chunks."""
        return not request.chunks

    def gather(self, request: Request, allowance: Allowance) -> list[Section]:
        """Sections in the order of `request.chunks`; what does not fit is left out whole."""
        sections = [
            Section(kind="chunk", source="chunks", body=chunk, ref=chunk.id, trust=chunk.trust)
            for chunk in request.chunks
        ]
        priced = [allowance.priced(section) for section in sections]
        if sum(section.tokens for section in priced) <= allowance.tokens:
            return priced
        scores = Lexical([f"{chunk.title}\n{chunk.text}" for chunk in request.chunks]).scores(
            request.query.text
        )
        left, kept = allowance.tokens, set()
        for index in sorted(range(len(priced)), key=lambda index: (-scores[index], index)):
            if priced[index].tokens <= left:
                left -= priced[index].tokens
                kept.add(index)
        return [section for index, section in enumerate(priced) if index in kept]
