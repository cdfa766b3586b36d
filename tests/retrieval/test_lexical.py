import random
import time

import numpy as np
import pytest

from ctxeng.retrieval.lexical import Lexical, best

TEXTS = ["refund after thirty days", "reset the password", "shipping to Norway", "password rules"]


def test_the_text_that_shares_rare_words_comes_first():
    assert Lexical(TEXTS).search("How do I reset my password?", 3)[0][0] == 1


def test_texts_that_share_no_term_are_left_out():
    assert [index for index, _ in Lexical(TEXTS).search("norwegian norway", 4)] == [2]


def test_scores_are_one_a_text_in_order():
    scores = Lexical(TEXTS).scores("password")
    assert scores.shape == (4,)
    assert (scores > 0).tolist() == [False, True, False, True]


@pytest.mark.parametrize("texts", [[], [""], ["", "..."]])
def test_an_index_of_nothing_answers_nothing(texts):
    index = Lexical(texts)
    assert index.scores("anything").tolist() == [0.0] * len(texts)
    assert index.search("anything", 3) == []


def test_a_query_of_unknown_or_no_words_scores_nothing():
    assert Lexical(TEXTS).search("zebra", 3) == []
    assert Lexical(TEXTS).search("", 3) == []


def test_a_word_that_the_query_repeats_counts_once():
    index = Lexical(TEXTS)
    assert np.array_equal(index.scores("password password reset"), index.scores("password reset"))


def test_ties_go_by_index():
    index = Lexical(["same words"] * 50)
    assert [found for found, _ in index.search("words", 3)] == [0, 1, 2]


def test_an_index_built_from_a_previous_one_is_the_same_index():
    previous = Lexical(TEXTS)
    changed = [*TEXTS[1:], "a new text about passwords"]
    assert np.array_equal(
        Lexical(changed, previous=previous).scores("password"), Lexical(changed).scores("password")
    )


def test_best_takes_only_positive_scores_and_breaks_ties_by_index():
    scores = np.array([0.5, -1.0, 0.9, 0.5, 0.0, 0.5], dtype=np.float32)
    assert [index for index, _ in best(scores, 3)] == [2, 0, 3]
    assert [index for index, _ in best(scores, 99)] == [2, 0, 3, 5]
    assert best(scores, 0) == []


def test_a_search_over_ten_thousand_texts_takes_under_two_milliseconds():
    rng = random.Random(0)
    words = [f"word{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{chr(97 + i // 676)}" for i in range(5000)]
    index = Lexical([" ".join(rng.choices(words, k=12)) for _ in range(10_000)])
    took = []
    for _ in range(50):
        query = " ".join(rng.choices(words, k=8))
        start = time.perf_counter()
        index.search(query, 5)
        took.append(time.perf_counter() - start)
    assert sorted(took)[len(took) // 2] < 0.002
