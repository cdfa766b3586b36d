"""One user's records, indexed as passages: a long record alone, short ones with what was said around them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from ctxeng.memory.record import Record
from ctxeng.memory.stored import Arrived, MemoryStore
from ctxeng.retrieval.embed import TextEncoder
from ctxeng.retrieval.index import Index
from ctxeng.retrieval.texts import Record as Indexed
from ctxeng.retrieval.vectors import ExactVectors
from ctxeng.turn import Scope

PASSAGE = 60  # words: a record of fewer says little alone, and a frame around it costs as much as it does


@dataclass
class Passage:
    """Records of one session that follow one another."""

    key: str
    session: str
    records: list[Record] = field(default_factory=list)
    words: int = 0

    @property
    def text(self) -> str:
        """What is searched."""
        return "\n".join(record.message.text for record in self.records)


@dataclass
class Shelf:
    """What was said, to be found. A long text that is said again stands once, where it was said last."""

    encoder: TextEncoder | None
    index: Index = field(init=False)
    passages: dict[str, Passage] = field(default_factory=dict)
    generation: int = -1
    last: int = 0  # the row up to which everything is in
    lock: threading.RLock = field(default_factory=threading.RLock)
    _open: dict[str, Passage] = field(default_factory=dict)  # by session: the one that short records join
    _texts: dict[str, str] = field(default_factory=dict)  # long texts to the key of their passage

    def __post_init__(self) -> None:
        vectors = ExactVectors(self.encoder.name, self.encoder.dim) if self.encoder else None
        self.index = Index(None, self.encoder, vectors)

    def follow(self, store: MemoryStore, scope: Scope) -> None:
        """Take in what arrived since; everything anew where something was forgotten."""
        with self.lock:
            generation = store.generation(scope)
            if generation != self.generation:
                self.index.remove(self.index.ids())
                for known in (self.passages, self._open, self._texts):
                    known.clear()
                self.last, self.generation = 0, generation
            arrived = store.arrived(scope, self.last)
            if arrived:
                self._take(arrived)
                self.last = arrived[-1].row

    def _take(self, arrived: Sequence[Arrived]) -> None:
        changed: dict[str, Passage] = {}
        for each in arrived:
            words = len(each.record.message.text.split())
            if each.record.recalled or not words:
                continue
            passage = self._long(each) if words >= PASSAGE else self._short(each)
            passage.records.append(each.record)
            passage.words += words
            changed[passage.key] = passage
        gone = [key for key in changed if key not in self.passages]
        self.index.remove(gone)
        self.index.add(Indexed(key, each.text) for key, each in changed.items() if key in self.passages)

    def _long(self, each: Arrived) -> Passage:
        self._open.pop(each.session, None)
        before = self._texts.get(each.record.message.text)
        if before is not None and self.passages.pop(before, None) is not None:
            self.index.remove([before])
        self._texts[each.record.message.text] = str(each.row)
        return self._new(each)

    def _short(self, each: Arrived) -> Passage:
        passage = self._open.get(each.session)
        if passage is None or passage.words >= PASSAGE:
            passage = self._open[each.session] = self._new(each)
        return passage

    def _new(self, each: Arrived) -> Passage:
        passage = self.passages[str(each.row)] = Passage(str(each.row), each.session)
        return passage


def searched_texts(store: MemoryStore, scope: Scope) -> set[str]:
    """Every text of this tenant and user that an index may have encoded: passages, also as they grew."""
    shelf = Shelf(None)
    shelf.follow(store, scope)
    return {
        "\n".join(record.message.text for record in passage.records[:end])
        for passage in shelf.passages.values()
        for end in range(1, len(passage.records) + 1)
        if not scope.session or passage.session == scope.session
    }
