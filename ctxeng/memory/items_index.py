"""The texts of items in memory, kept up with the database, ranked among those that may be seen."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ctxeng.retrieval.embed import TextEncoder
from ctxeng.retrieval.fusion import Fusion, RelativeSum
from ctxeng.retrieval.inverted import InvertedIndex
from ctxeng.retrieval.vectors import ExactVectors
from ctxeng.storage.sql import Database, Run

_BATCH = 1_000  # items that are taken in at once

News = tuple[int, set[int] | None, list[tuple[int, str, int]]]  # removals, ids where that changed, new rows


@dataclass
class ItemIndex:
    """Words and vectors of items by their row. Each text is read and encoded once; safe with threads.

    Items are ranked among themselves: what others hold changes no order but by how rare it makes a word.
    """

    encoder: TextEncoder | None
    fusion: Fusion = field(default_factory=RelativeSum)
    _last: int = field(default=0, init=False)  # the tick up to which everything is in
    _gone: int = field(default=0, init=False)
    _words: InvertedIndex = field(default_factory=InvertedIndex, init=False)
    _vectors: ExactVectors | None = field(default=None, init=False)
    _pieces: dict[int, list[str]] = field(default_factory=dict, init=False)  # of each item: its texts' keys
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False)

    def __post_init__(self) -> None:
        if self.encoder is not None:
            self._vectors = ExactVectors(self.encoder.name, self.encoder.dim)

    def follow(self, database: Database) -> None:
        """Take in what was written since, by whomever, and let go of what was removed."""
        with self._lock:
            fresh = _BATCH
            while fresh == _BATCH:
                gone, ids, rows = database.attempt(self._news, write=False)
                if ids is not None:
                    self._drop([row for row in self._pieces if row not in ids])
                    self._gone = gone
                if rows:
                    self._take({row: json.loads(texts) for row, texts, _ in rows})
                    self._last = rows[-1][2]
                fresh = len(rows)

    def ranked(self, query: str, rows: Sequence[int], k: int) -> list[tuple[int, float | None]]:
        """The k best of these rows and their scores, ties in the order given; then those without text."""
        query = _valid(query)
        vector = self.encoder.embed([query])[0] if self.encoder is not None else None
        with self._lock:
            owners = [row for row in rows for _ in self._pieces.get(row, ())]
            keys = [key for row in rows for key in self._pieces.get(row, ())]
            silent = [row for row in rows if row not in self._pieces]
            words = self._words.scores(query)[self._words.slots(keys)]
            meaning = np.zeros_like(words)
            if self._vectors is not None and vector is not None:
                meaning = self._vectors.scores(vector, keys)
        scores = self.fusion.fuse(words, meaning)
        found: dict[int, float | None] = {}
        for place in np.argsort(-scores, kind="stable"):
            if len(found) == k:
                break
            found.setdefault(owners[place], float(scores[place]))  # an item is as good as its best text
        return [*found.items(), *((row, None) for row in silent[: k - len(found)])]

    def _news(self, run: Run) -> News:
        ((last, gone),) = run("SELECT last, gone FROM memory_item_ticks")
        ids = {row[0] for row in run("SELECT id FROM memory_items")} if gone != self._gone else None
        rows: list[tuple[int, str, int]] = []
        if last != self._last:
            query = "SELECT id, texts, tick FROM memory_items WHERE tick > ? ORDER BY tick LIMIT ?"
            rows = [(row[0], row[1], row[2]) for row in run(query, (self._last, _BATCH))]
        return gone, ids, rows

    def _take(self, items: dict[int, list[str]]) -> None:
        pieces = {row: [f"{row}:{place}" for place in range(len(texts))] for row, texts in items.items()}
        texts = [_valid(text) for each in items.values() for text in each]
        keys = [key for each in pieces.values() for key in each]
        vectors = self.encoder.embed(texts) if self.encoder is not None and texts else None
        self._drop(list(items))
        self._words.add(dict(zip(keys, texts, strict=True)))
        if self._vectors is not None and vectors is not None:
            self._vectors.upsert(keys, vectors)
        self._pieces.update({row: each for row, each in pieces.items() if each})

    def _drop(self, rows: Sequence[int]) -> None:
        keys = [key for row in rows for key in self._pieces.pop(row, ())]
        self._words.remove(keys)
        if self._vectors is not None:
            self._vectors.remove(keys)


def _valid(text: str) -> str:
    """The text without halves of surrogate pairs, which no encoder takes."""
    return text.encode("utf-8", "replace").decode()
