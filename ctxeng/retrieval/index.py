"""A hybrid index over texts with ids, in memory or in a folder that survives a kill."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ctxeng.errors import BadInput
from ctxeng.retrieval.chroma import ChromaVectors
from ctxeng.retrieval.embed import TextEncoder
from ctxeng.retrieval.fusion import Fusion, RelativeSum
from ctxeng.retrieval.inverted import InvertedIndex
from ctxeng.retrieval.lexical import best
from ctxeng.retrieval.texts import Change, Record, Texts
from ctxeng.retrieval.vectors import ExactVectors, VectorStore
from ctxeng.storage.atomic import write_atomic
from ctxeng.storage.lock import ProcessLock

logger = logging.getLogger(__name__)

Floats = NDArray[np.float32]

_BATCH = 1_000  # texts that are encoded at once when a store catches up
_PATIENCE = 5.0  # seconds to wait for another process that has the folder


@dataclass
class Index:
    """Texts by id, found by words (BM25) and by meaning (vectors) together.

    With a `folder`, the texts are in SQLite there and are the truth; postings and vectors are derived from
    them, and what a killed process left undone is done at the next opening. One process at a time has a
    folder, StoreLocked for others. `vectors` None means Chroma in the folder, or exact ones in memory where
    there is no folder; a store that is given must be this index's alone. `ExactVectors` with a folder suits
    sets whose vectors the embedder remembers: they are read from its cache at each opening. Without an
    embedder words alone count. `depth` is how many each side proposes; all that are proposed by one side are
    scored by both. Safe with several threads.
    """

    folder: Path | None = None
    embedder: TextEncoder | None = None
    vectors: VectorStore | None = None
    fusion: Fusion = field(default_factory=RelativeSum)
    depth: int = 100
    _texts: Texts = field(init=False, repr=False)
    _words: InvertedIndex = field(default_factory=InvertedIndex, init=False, repr=False)
    # an id's key in postings and vectors is the number of its row: another text, another key
    _keys: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _ids: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _unsaved: int = field(default=0, init=False, repr=False)  # texts that the dump of postings lacks
    _held: ExitStack = field(default_factory=ExitStack, init=False, repr=False)
    _writing: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _state: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.vectors is not None and (self.embedder is None or self.vectors.encoder != self.embedder.name):
            found = self.embedder.name if self.embedder else "none"
            raise BadInput(f"the store has vectors of {self.vectors.encoder}, the embedder is {found}")
        with ExitStack() as held:
            if self.folder is not None:
                self.folder.mkdir(parents=True, exist_ok=True)
                lock = ProcessLock(self.folder / "lock", timeout=_PATIENCE)
                held.callback(lock.close)
                held.enter_context(lock)
            self._texts = Texts(self.folder / "texts.sqlite" if self.folder else None)
            held.callback(self._texts.close)
            if self.vectors is None and self.embedder is not None:
                self.vectors = _store(self.embedder, self.folder)
                held.callback(self.vectors.close)
            self._ids = {str(row): name for row, name in self._texts.rows()}
            self._keys = {name: key for key, name in self._ids.items()}
            self._catch_up_words()
            self._catch_up_vectors()
            self._held = held.pop_all()

    def __len__(self) -> int:
        return len(self._keys)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, records: Iterable[Record]) -> None:
        """Take these in, in place of what their ids had; only texts that are new or changed are encoded."""
        with self._writing:
            latest = list({record.id: record for record in records}.values())
            with self._state:
                new = self._texts.changed(latest)
            fresh = self._encoded([record.text for record in new])
            with self._state:
                change = self._texts.put(latest)
                self._apply(change)
            if self.vectors is not None and fresh is not None:
                self.vectors.upsert([str(row) for row in change.new], fresh)  # both in the order of `new`
                self.vectors.remove([str(row) for row in change.gone])

    def remove(self, ids: Iterable[str]) -> None:
        """Let these go; ids that are not there are no matter."""
        with self._writing:
            with self._state:
                change = self._texts.remove(ids)
                self._apply(change)
            if self.vectors is not None:
                self.vectors.remove([str(row) for row in change.gone])

    def get(self, ids: Iterable[str]) -> dict[str, Record]:
        """The records of those ids that are known."""
        with self._state:
            return self._texts.get(ids)

    def ids(self) -> list[str]:
        """All ids, in order of arrival."""
        with self._state:
            return list(self._keys)

    def search(self, query: str, k: int) -> list[tuple[str, float]]:
        """The k best (id, score), best first, ties by arrival; texts that score nothing are left out."""
        ids, scores = self._fused(query, max(k, self.depth))
        return [(ids[place], score) for place, score in best(scores, k)]

    def scores(self, query: str, ids: Sequence[str]) -> Floats:
        """One score an id, on the scale of `search`: (n,); 0 where the id is not known."""
        names, scores = self._fused(query, self.depth, ids)
        found = dict(zip(names, scores, strict=True))
        return np.array([found.get(name, 0) for name in ids], dtype=np.float32)

    def close(self) -> None:
        """Write what makes the next opening quick, and let go of the folder."""
        with self._writing, self._state:
            self._save_words()
            self._held.close()

    # -- searching --------------------------------------------------------------------------------------

    def _fused(self, query: str, depth: int, also: Sequence[str] = ()) -> tuple[list[str], Floats]:
        """Ids of all that either side proposes and of those known of `also`, by arrival; their scores."""
        near: dict[str, float] = {}
        if self.vectors is not None and self.embedder is not None:
            vector = self.embedder.embed([query])[0]
            near = dict(self.vectors.query(vector, depth))
        with self._state:
            words = self._words.scores(query)
            proposed = {self._words.at(slot) for slot, _ in best(words, depth)}
            proposed.update(key for key in near if key in self._ids)
            proposed.update(self._keys[name] for name in also if name in self._keys)
            keys = sorted(proposed, key=int)
            ids = [self._ids[key] for key in keys]
            lexical = words[self._words.slots(keys)]
        if self.vectors is not None and self.embedder is not None:
            rest = [key for key in keys if key not in near]
            near.update(zip(rest, self.vectors.scores(vector, rest).tolist(), strict=True))
        meaning = np.array([near.get(key, 0) for key in keys], dtype=np.float32)
        return ids, self.fusion.fuse(lexical, meaning)

    # -- keeping up -------------------------------------------------------------------------------------

    def _apply(self, change: Change) -> None:
        """The maps and the postings follow the texts."""
        gone = [str(row) for row in change.gone]
        for key in gone:
            name = self._ids.pop(key)
            del self._keys[name]
        for row, record in change.new.items():
            self._keys[record.id] = str(row)
            self._ids[str(row)] = record.id
        self._words.remove(gone)
        self._words.add({str(row): record.text for row, record in change.new.items()})
        self._unsaved += len(change.new) + len(gone)

    def _catch_up_words(self) -> None:
        dumped = self.folder / "words.npz" if self.folder else None
        if dumped and dumped.is_file() and not self._words.restore(dumped.read_bytes()):
            logger.warning("%s is of no use and made anew", dumped)
        have = set(self._words.ids())
        surplus = [key for key in have if key not in self._ids]
        missing = [int(key) for key in self._ids if key not in have]
        self._words.remove(surplus)
        self._words.add({str(row): text for row, text in self._texts.read(missing)})
        self._unsaved = len(missing) + len(surplus)
        if self._unsaved > _BATCH or surplus:
            self._save_words()

    def _catch_up_vectors(self) -> None:
        if self.vectors is None:
            return
        have = self.vectors.ids()
        self.vectors.remove([key for key in have if key not in self._ids])
        missing = [int(key) for key in self._ids if key not in have]
        if missing:
            logger.info("%d of %d texts have no vector yet and are encoded", len(missing), len(self._ids))
        for start in range(0, len(missing), _BATCH):
            some = dict(self._texts.read(missing[start : start + _BATCH]))
            fresh = self._encoded(list(some.values()))
            if fresh is not None:
                self.vectors.upsert([str(row) for row in some], fresh)

    def _encoded(self, texts: list[str]) -> Floats | None:
        return self.embedder.embed(texts) if self.embedder is not None and texts else None

    def _save_words(self) -> None:
        if self.folder is not None and self._unsaved:
            write_atomic(self.folder / "words.npz", self._words.dump(), sync=False)
            self._unsaved = 0


def _store(embedder: TextEncoder, folder: Path | None) -> VectorStore:
    if folder is None:
        return ExactVectors(embedder.name, embedder.dim)
    # a collection for each encoder: one that is new here finds all texts missing, and encodes them
    name = hashlib.sha256(embedder.name.encode()).hexdigest()[:16]
    return ChromaVectors(embedder.name, embedder.dim, folder / "vectors", collection=f"texts-{name}")
