"""An app's own documents: split, indexed, and searched for what could bear on a question."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from ctxeng.chunks.candidates import Titles
from ctxeng.chunks.documents.document import Document
from ctxeng.chunks.selectors.conformal import fingerprint
from ctxeng.chunks.split.piece import Splitter
from ctxeng.retrieval.index import Index
from ctxeng.retrieval.texts import Record
from ctxeng.turn import Chunk

logger = logging.getLogger(__name__)

_BATCH = 500  # chunks that are encoded and written at once: what a kill can cost


@dataclass(frozen=True)
class Synced:
    """What bringing a corpus up to date came to, in chunks."""

    documents: int
    added: int
    removed: int
    kept: int


@dataclass
class Corpus:
    """Passages by id in an index. `each` come from words and as many from meaning.

    Passages whose title the question or one of the first `hops` hits says are candidates too: 50 to 60
    candidates so found hold .995 of the evidence in the pooled HotpotQA and 2WikiMultihopQA.
    """

    index: Index
    each: int = 30
    hops: int = 8
    _titles: Titles[str] = field(default_factory=Titles, init=False, repr=False)

    def __post_init__(self) -> None:
        self.index.depth = self.each
        for record in self.index.get(self.index.ids()).values():
            self._titles.add(record.id, _chunk(record).title)

    def __len__(self) -> int:
        return len(self.index)

    def sync(self, documents: Iterable[Document], splitter: Splitter) -> Synced:
        """Make the index hold the chunks of these documents and no others; only new ones are encoded."""
        before = set(self.index.ids())
        seen: set[str] = set()
        batch: list[Chunk] = []
        count = added = 0
        for document in documents:
            count += 1
            for chunk in splitter.split(document):
                added += chunk.id not in before and chunk.id not in seen
                seen.add(chunk.id)
                batch.append(chunk)
                if len(batch) >= _BATCH:
                    self.add(batch)
                    batch = []
        self.add(batch)
        gone = before - seen
        self.remove(gone)
        return Synced(count, added, len(gone), len(seen) - added)

    def add(self, chunks: Iterable[Chunk]) -> None:
        """Take these in, in place of what their ids had."""
        given = list(chunks)
        for record in self.index.get([chunk.id for chunk in given]).values():
            self._titles.remove(record.id, _chunk(record).title)
        self.index.add(Record(c.id, f"{c.title}\n{c.text}".strip(), c.model_dump_json()) for c in given)
        for chunk in given:
            self._titles.add(chunk.id, chunk.title)

    def remove(self, ids: Iterable[str]) -> None:
        """Let these go."""
        names = list(ids)
        for record in self.index.get(names).values():
            self._titles.remove(record.id, _chunk(record).title)
        self.index.remove(names)

    def fingerprint(self) -> str:
        """What a conformal calibration for these passages is made for: equal texts, equal fingerprints."""
        return fingerprint(record.text for record in self.index.get(self.index.ids()).values())

    def near(self, query: str) -> list[Chunk]:
        """The passages that could bear on the query, the most likely first, then those only named."""
        hits = [name for name, _ in self.index.search(query, 2 * self.each)]
        records = self.index.get(hits)
        linked = self._titles.named(query)
        for name in hits[: self.hops]:
            linked += self._titles.named(_chunk(records[name]).text)
        further = [name for name in dict.fromkeys(linked) if name not in records]
        records |= self.index.get(further)
        return [_chunk(records[name]) for name in (*hits, *further)]

    def search(self, query: str, k: int) -> list[Chunk]:
        """The k best passages by words and meaning, best first: what iterative retrieval asks for."""
        hits = [name for name, _ in self.index.search(query, k)]
        records = self.index.get(hits)
        return [_chunk(records[name]) for name in hits]

    def close(self) -> None:
        """Let go of the index, and of a server that has its vectors."""
        self.index.close()
        if self.index.vectors is not None:
            self.index.vectors.close()


def _chunk(record: Record) -> Chunk:
    return Chunk.model_validate_json(record.payload)
