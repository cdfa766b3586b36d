from dataclasses import dataclass, field

import numpy as np

from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.retrieval.hybrid import Hybrid

TEXTS = ["refund after thirty days", "reset the password", "shipping to Norway", "password rules"]


@dataclass(frozen=True)
class Counting:
    """An embedder that keeps what it was asked to read."""

    asked: list = field(default_factory=list)
    name: str = "counting"
    dim: int = 64

    def embed(self, texts):
        self.asked.extend(texts)
        return HashingEmbedder(64).embed(texts)


def test_without_an_embedder_it_is_bm25_alone():
    assert Hybrid(TEXTS).search("password", 9) == [(1, 1.0), (3, 1.0)]


def test_meaning_finds_what_words_miss():
    index = Hybrid(TEXTS, HashingEmbedder())
    assert Hybrid(TEXTS).search("passwrod resetting typo", 1)[0][0] == 1
    assert index.search("norweg", 1)[0][0] == 2


def test_scores_lie_between_nothing_and_one_plus_the_weight():
    scores = Hybrid(TEXTS, HashingEmbedder(), weight=0.5).scores("reset the password")
    assert scores.min() >= 0
    assert scores.max() == np.float32(1.5)


def test_the_same_search_gives_the_same_answer():
    first, second = Hybrid(TEXTS, HashingEmbedder()), Hybrid(TEXTS, HashingEmbedder())
    assert first.search("rules for passwords", 4) == second.search("rules for passwords", 4)


def test_equal_texts_are_ordered_by_index():
    index = Hybrid(["same words"] * 20, HashingEmbedder())
    assert [found for found, _ in index.search("words", 3)] == [0, 1, 2]


def test_after_a_small_change_only_new_texts_are_encoded():
    embedder = Counting()
    previous = Hybrid(TEXTS, embedder)
    embedder.asked.clear()
    changed = [TEXTS[3], "a new one", *TEXTS[:2]]
    index = Hybrid(changed, embedder, previous=previous)
    assert embedder.asked == ["a new one"]
    assert np.array_equal(index.vectors, Hybrid(changed, HashingEmbedder(64)).vectors)


def test_a_previous_index_of_another_embedder_lends_no_vectors():
    previous = Hybrid(TEXTS, HashingEmbedder(32))
    assert Hybrid(TEXTS, HashingEmbedder(64), previous=previous).vectors.shape == (4, 64)


def test_an_empty_index_finds_nothing():
    assert Hybrid([], HashingEmbedder()).search("anything", 3) == []
