"""Chunks become units of selection: sentences, with the paragraph that each is from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ctxeng.chunks.rank.view import View
from ctxeng.retrieval.embed import TextEncoder
from ctxeng.text.sentences import sentences
from ctxeng.turn import Chunk

Unit = Literal["sentence", "chunk"]

_PARAGRAPH = 2_000  # characters: neighbours of one source and title are read together up to here
_GLUE = "\n"
_CUT = re.compile(r"~s\d+\Z")  # behind the id of a chunk: one of its sentences


@runtime_checkable
class LateEncoder(Protocol):
    """An encoder that can read a piece of text with the whole of it around it."""

    def embed_spans_many(
        self, asked: Sequence[tuple[str, Sequence[tuple[int, int]]]]
    ) -> list[NDArray[np.float32]]:
        """For each text the unit rows of its spans of characters."""
        ...


@dataclass(frozen=True)
class Units:
    """N units in G groups. A group is a paragraph: units that stand together under one title."""

    chunks: tuple[Chunk, ...]  # (N,)
    groups: NDArray[np.int64]  # (N,)
    titles: tuple[str, ...]  # (G,)

    def view(self, query: str, encoder: TextEncoder | None) -> View:
        """The units beside the question; vectors of late chunking where the encoder can do that."""
        vectors = asked = None
        if encoder is not None and self.chunks:
            vectors = self._late(encoder) if isinstance(encoder, LateEncoder) else self._alone(encoder)
            asked = encoder.embed([query])[0]
        texts = tuple(chunk.text for chunk in self.chunks)
        return View(query, texts, self.groups, self.titles, vectors, asked)

    def _alone(self, encoder: TextEncoder) -> NDArray[np.float32]:
        titled = zip(self.chunks, self.groups, strict=True)
        return encoder.embed([f"{self.titles[group]}{_GLUE}{chunk.text}".strip() for chunk, group in titled])

    def _late(self, encoder: LateEncoder) -> NDArray[np.float32]:
        """(N, D): each unit as read inside its group (late chunking)."""
        whole: list[str] = [f"{title}{_GLUE}" if title else "" for title in self.titles]
        spans: list[list[tuple[int, int]]] = [[] for _ in self.titles]
        for chunk, group in zip(self.chunks, self.groups, strict=True):
            start = len(whole[group])
            spans[group].append((start, start + len(chunk.text)))
            whole[group] += chunk.text + _GLUE
        found = encoder.embed_spans_many(list(zip(whole, spans, strict=True)))
        rows = [iter(each) for each in found]
        return np.stack([next(rows[group]) for group in self.groups])


def units(chunks: Sequence[Chunk], unit: Unit = "sentence") -> Units:
    """The chunks themselves, or their sentences; ids and offsets lead back to the chunk and its source."""
    pieces: list[Chunk] = []
    groups: list[int] = []
    titles: list[str] = []
    last: Chunk | None = None
    length = 0
    for chunk in chunks:
        joined = last is not None and _together(last, chunk) and length + len(chunk.text) <= _PARAGRAPH
        if not joined:
            titles.append(chunk.title)
            length = 0
        length += len(chunk.text)
        last = chunk
        found = _sentences(chunk) if unit == "sentence" else [chunk]
        pieces += found
        groups += [len(titles) - 1] * len(found)
    return Units(tuple(pieces), np.array(groups, dtype=np.int64), tuple(titles))


def parent(unit_id: str) -> str:
    """The id of the chunk that a sentence's id was made from."""
    return _CUT.sub("", unit_id)


def _together(before: Chunk, chunk: Chunk) -> bool:
    return bool(chunk.source) and (before.source, before.title) == (chunk.source, chunk.title)


def _sentences(chunk: Chunk) -> list[Chunk]:
    spans = sentences(chunk.text)
    if len(spans) <= 1:
        return [chunk]
    return [
        chunk.model_copy(
            update={
                "id": f"{chunk.id}~s{place}",
                "text": chunk.text[start:end],
                "start": chunk.start + start,
                "end": chunk.start + end,
            }
        )
        for place, (start, end) in enumerate(spans)
    ]
