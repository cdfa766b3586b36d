"""BM25 over texts that come and go: an inverted index in memory."""

from __future__ import annotations

import io
import json
import math
import zipfile
from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import Stemmer
from numpy.typing import NDArray

from ctxeng.retrieval import words
from ctxeng.retrieval.lexical import best

_MADE = f"1 {words.VERSION} {Stemmer.version()}"  # the dump's form and what its terms were made with
_REMEMBERED = 1_000_000  # weights, 12 MB
_FEW = 1_000  # slots of removed texts that are not worth a compaction

Weighed = tuple[NDArray[np.intp], NDArray[np.float32]]  # slots, and what a term adds to each


def _postings() -> defaultdict[str, array[int]]:
    return defaultdict(lambda: array("I"))


@dataclass
class InvertedIndex:
    """Texts by id. Scores are those of a fresh `Lexical` over the same texts, to float32's precision.

    bm25s weighs each posting by the whole corpus when it indexes, so that one more text changes all of them
    and it has no way to add one. Here postings hold counts, and the weights (BM25 as in Lucene: Kamphuis et
    al. 2020, table 1, the "accurate" variant, which is bm25s's default) are computed for the terms of a
    query. Each text has a slot, in the order of arrival; a removed one leaves its slot empty until a
    compaction, which comes when most are. Not safe with several threads.
    """

    k1: float = 1.5
    b: float = 0.75
    _slots: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    _ids: list[str] = field(default_factory=list, init=False, repr=False)  # by slot
    _lengths: array[float] = field(default_factory=lambda: array("f"), init=False, repr=False)  # by slot
    _live: bytearray = field(default_factory=bytearray, init=False, repr=False)  # by slot, 0 or 1
    _terms: int = field(default=0, init=False, repr=False)  # in all live texts
    # term -> slot, count, slot, count ... by rising slot
    _postings: defaultdict[str, array[int]] = field(default_factory=_postings, init=False, repr=False)

    _weighed: dict[str, Weighed] = field(default_factory=dict, init=False, repr=False)
    _held: int = field(default=0, init=False, repr=False)  # weights remembered

    def __len__(self) -> int:
        return len(self._slots)

    def ids(self) -> list[str]:
        """All ids, in order of arrival."""
        return list(self._slots)

    def add(self, texts: Mapping[str, str]) -> None:
        """Take these texts in; a text whose id is there already takes the old one's place, at the end."""
        self.remove(list(texts))
        self._forget_weights()
        for name, text in texts.items():
            counts = Counter(words.terms(text))
            slot, length = len(self._ids), counts.total()
            for term, count in counts.items():
                self._postings[term].extend((slot, count))
            self._slots[name] = slot
            self._ids.append(name)
            self._lengths.append(length)
            self._live.append(1)
            self._terms += length

    def remove(self, ids: Sequence[str]) -> None:
        """Let these texts go; ids that are not there are no matter."""
        for name in ids:
            slot = self._slots.pop(name, None)
            if slot is not None:
                self._forget_weights()
                self._live[slot] = 0
                self._terms -= int(self._lengths[slot])
        if len(self._ids) > 2 * len(self._slots) + _FEW:
            self._compact()

    def scores(self, query: str) -> NDArray[np.float32]:
        """One score for each slot, 0 where the text shares no term with the query, or is gone."""
        found = np.zeros(len(self._ids), dtype=np.float32)
        for term in dict.fromkeys(words.terms(query)):  # each once, as in Lexical
            if term in self._postings:
                slots, weights = self._weighed.get(term) or self._weigh(term)
                found[slots] += weights
        return found

    def _weigh(self, term: str) -> Weighed:
        """The slots of a term and what it adds to each; remembered until texts come or go."""
        live = np.frombuffer(self._live, dtype=np.bool_)
        pairs = np.frombuffer(self._postings[term], dtype=np.uint32).reshape(-1, 2)
        pairs = pairs[live[pairs[:, 0]]]
        slots, counts = pairs[:, 0].astype(np.intp), pairs[:, 1].astype(np.float32)
        average = self._terms / max(1, len(self._slots))
        lengths = np.frombuffer(self._lengths, dtype=np.float32)[slots]
        held = np.float32(self.k1) * (1 - self.b + self.b / max(average, 1e-9) * lengths)
        weights = (self._idf(len(slots)) * (counts / (counts + held))).astype(np.float32)
        if self._held + len(slots) > _REMEMBERED:
            self._forget_weights()
        self._weighed[term] = found = slots, weights
        self._held += len(slots)
        return found

    def _forget_weights(self) -> None:
        self._weighed.clear()
        self._held = 0

    def search(self, query: str, k: int) -> list[tuple[str, float]]:
        """The k best (id, score), best first, ties by arrival; texts that share no term are left out."""
        return [(self._ids[slot], score) for slot, score in best(self.scores(query), k)]

    def slots(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Where in `scores` these ids stand; they hold until the next removal. Raises KeyError."""
        return np.fromiter((self._slots[name] for name in ids), dtype=np.int64, count=len(ids))

    def at(self, slot: int) -> str:
        """The id in this slot."""
        return self._ids[slot]

    def dump(self) -> bytes:
        """The whole index, for `restore`."""
        out = io.BytesIO()
        np.savez(
            out,
            made=np.frombuffer(_MADE.encode(), dtype=np.uint8),
            names=np.frombuffer(json.dumps([self._ids, list(self._postings)]).encode(), dtype=np.uint8),
            live=np.frombuffer(bytes(self._live), dtype=np.uint8),
            lengths=np.frombuffer(self._lengths.tobytes(), dtype=np.float32),
            sizes=np.array([len(posting) for posting in self._postings.values()], dtype=np.int64),
            postings=np.frombuffer(b"".join(map(bytes, self._postings.values())), dtype=np.uint32),
        )
        return out.getvalue()

    def restore(self, dumped: bytes) -> bool:
        """Take what `dump` gave in place of what is here; False, and nothing done, where it is of no use.

        That is so where it is damaged, or where terms were made by other rules than today's.
        """
        try:
            with np.load(io.BytesIO(dumped), allow_pickle=False) as file:
                if file["made"].tobytes().decode() != _MADE:
                    return False
                ids, terms = json.loads(file["names"].tobytes())
                live, lengths, ends = file["live"].tobytes(), file["lengths"], np.cumsum(file["sizes"])
                pieces = np.split(file["postings"], ends[:-1]) if terms else []
        except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile):
            return False
        self._ids, self._live, self._lengths = ids, bytearray(live), array("f", lengths.tobytes())
        self._forget_weights()
        self._slots = {name: slot for slot, name in enumerate(ids) if live[slot]}
        self._terms = int(lengths[np.frombuffer(live, dtype=np.bool_)].sum(dtype=np.float64))
        self._postings = _postings()
        for term, piece in zip(terms, pieces, strict=True):
            self._postings[term] = array("I", piece.tobytes())
        return True

    def _idf(self, texts: int) -> np.float32:
        return np.float32(math.log(1 + (len(self._slots) - texts + 0.5) / (texts + 0.5)))

    def _compact(self) -> None:
        live = np.frombuffer(bytes(self._live), dtype=np.bool_)
        moved = (np.cumsum(live) - 1).astype(np.uint32)
        before, self._postings = self._postings, _postings()
        for term, posting in before.items():
            pairs = np.frombuffer(posting, dtype=np.uint32).reshape(-1, 2)
            kept = pairs[live[pairs[:, 0]]]
            if len(kept):
                kept[:, 0] = moved[kept[:, 0]]
                self._postings[term] = array("I", kept.tobytes())
        self._lengths = array("f", np.frombuffer(self._lengths, dtype=np.float32)[live].tobytes())
        self._ids = [name for name, here in zip(self._ids, self._live, strict=True) if here]
        self._slots = {name: slot for slot, name in enumerate(self._ids)}
        self._live = bytearray(b"\x01" * len(self._ids))
