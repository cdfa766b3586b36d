import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.retrieval import inverted
from ctxeng.retrieval.inverted import InvertedIndex
from ctxeng.retrieval.lexical import Lexical

WORDS = [
    "refund",
    "refunds",
    "order",
    "late",
    "the",
    "of",
    "Norway",
    "getHTTPCode",
    "42",
    "über",
    "中文",
    "-",
]
IDS = [f"t{number}" for number in range(8)]
a_text = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
an_add = st.dictionaries(st.sampled_from(IDS), a_text, max_size=4)
a_removal = st.lists(st.sampled_from(IDS), max_size=3)


def same_as_lexical(index, texts, query, **options):
    """Scores and results are those of a fresh Lexical over the same texts, in the same order."""
    fresh = Lexical(list(texts.values()), **options)
    want = fresh.scores(query)
    got = index.scores(query)[index.slots(list(texts))]
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    best = index.search(query, 5)
    assert [score for _, score in best] == pytest.approx(
        [score for _, score in fresh.search(query, 5)], abs=1e-5
    )
    place = {name: slot for slot, name in enumerate(texts)}
    for name, score in best:
        assert want[place[name]] == pytest.approx(score, abs=1e-5)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(an_add, a_removal), max_size=12), st.lists(a_text, min_size=1, max_size=3))
def test_after_any_adds_and_removals_scores_are_those_of_a_fresh_index(steps, queries):
    check(steps, queries)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(an_add, a_removal), max_size=12), st.lists(a_text, min_size=1, max_size=3))
def test_compaction_changes_no_score(steps, queries):
    few, inverted._FEW = inverted._FEW, 0
    try:
        check(steps, queries)
    finally:
        inverted._FEW = few


def check(steps, queries):
    index, texts = InvertedIndex(), {}
    for step in steps:
        if isinstance(step, dict):
            index.add(step)
            for name, text in step.items():
                texts.pop(name, None)
                texts[name] = text
        else:
            index.remove(step)
            for name in step:
                texts.pop(name, None)
        assert len(index) == len(texts)
        for query in queries:
            same_as_lexical(index, texts, query)


def test_other_parameters_mean_the_same_as_in_lexical():
    texts = {"a": "refund order order order", "b": "order late", "c": "refund " * 30}
    index = InvertedIndex(k1=0.9, b=0.4)
    index.add(texts)
    same_as_lexical(index, texts, "refund order", k1=0.9, b=0.4)


def test_a_large_set_that_shrinks_gives_its_slots_back():
    texts = {f"t{number}": f"refund {number % 97} order {number % 13}" for number in range(4_000)}
    index = InvertedIndex()
    index.add(texts)
    gone = [name for name in texts if not name.endswith("7")]
    index.remove(gone)
    left = {name: text for name, text in texts.items() if name.endswith("7")}
    assert len(index.scores("refund")) == len(left) == len(index)
    same_as_lexical(index, left, "refund 7 order 12")


def test_texts_without_a_term_in_common_are_left_out_and_ties_come_as_they_arrived():
    index = InvertedIndex()
    index.add({"b": "refund now", "a": "refund now", "c": "nothing alike"})
    assert [name for name, _ in index.search("refund", 5)] == ["b", "a"]
    index.add({"b": "refund now"})
    assert [name for name, _ in index.search("refund", 5)] == ["a", "b"]
    assert index.search("unheard", 5) == []
    assert index.search("refund", 0) == []
