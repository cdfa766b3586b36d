import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.errors import BadInput
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.retrieval.fusion import ReciprocalRank
from ctxeng.retrieval.hybrid import Hybrid
from ctxeng.retrieval.index import Index
from ctxeng.retrieval.texts import Record
from ctxeng.retrieval.vectors import ExactVectors
from indexed import TEXTS, Counting, needs_chroma, records

pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning:chromadb.*")


@pytest.fixture(params=["memory", "folder", pytest.param("chroma", marks=needs_chroma)])
def opened(request, tmp_path):
    """Opens an index: in memory, in a folder with exact vectors, in a folder with Chroma."""
    kept = []

    def opening(embedder=None):
        embedder = embedder or Counting()
        store = ExactVectors(embedder.name, embedder.dim) if request.param == "folder" else None
        kept.append(Index(None if request.param == "memory" else tmp_path, embedder, store))
        return kept[-1]

    yield opening
    for index in kept:
        index.close()


def test_results_and_scores_are_those_of_hybrid(opened):
    index = opened()
    index.add(records())
    hybrid = Hybrid(list(TEXTS.values()), HashingEmbedder(64))
    for query in ("refund a late order", "password", "unheard-of"):
        want = [(list(TEXTS)[place], score) for place, score in hybrid.search(query, 3)]
        found = index.search(query, 3)
        assert [name for name, _ in found] == [name for name, _ in want]
        assert [score for _, score in found] == pytest.approx([score for _, score in want], abs=1e-5)
        assert index.scores(query, ["ship", "nobody", "late"]) == pytest.approx(
            [hybrid.scores(query)[1], 0, hybrid.scores(query)[3]], abs=1e-5
        )


def test_what_was_removed_or_changed_is_found_as_it_is_now(opened):
    index = opened()
    index.add(records())
    index.remove(["refund", "nobody"])
    index.add([Record("ship", "Refunds go out by bank transfer", payload="page 3")])
    assert index.ids() == ["login", "late", "ship"]
    assert len(index) == 3
    assert [name for name, _ in index.search("refunds by bank transfer", 2)] == ["ship", "late"]
    assert "ship" not in [name for name, _ in index.search("sea", 3)][:1]
    assert index.get(["ship", "refund"]) == {
        "ship": Record("ship", "Refunds go out by bank transfer", "page 3")
    }


def test_only_texts_that_are_new_or_changed_are_encoded(opened):
    embedder = Counting()
    index = opened(embedder)
    index.add(records())
    assert sorted(embedder.given) == sorted(TEXTS.values())
    embedder.given.clear()
    index.add([*records(), Record("login", TEXTS["login"], payload="moved"), Record("new", "Something new")])
    assert embedder.given == ["Something new"]
    assert index.get(["login"])["login"].payload == "moved"


def test_the_last_record_of_an_id_counts(opened):
    index = opened()
    index.add([Record("a", "apples"), Record("a", "pears")])
    assert index.get(["a"])["a"].text == "pears"
    assert index.search("apples", 5) == [] or index.search("pears", 5)[0][1] > index.search("apples", 5)[0][1]


def test_an_empty_index_finds_nothing(opened):
    index = opened()
    assert index.search("anything", 5) == []
    assert index.scores("anything", ["a"]).tolist() == [0]
    index.add([])
    index.remove([])
    assert index.ids() == []


a_step = st.one_of(
    st.dictionaries(
        st.sampled_from("abcdef"), st.sampled_from(["refund late", "late", "sea sea", ""]), max_size=3
    ),
    st.lists(st.sampled_from("abcdef"), max_size=2),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(a_step, max_size=8), st.sampled_from(["late refund", "sea", ""]))
def test_after_any_adds_and_removals_the_index_is_a_fresh_hybrid(steps, query):
    texts = {}
    with Index(None, HashingEmbedder(32)) as index:
        for step in steps:
            if isinstance(step, dict):
                index.add(records(step))
                for name, text in step.items():
                    if texts.get(name) != text:  # what does not change keeps its place
                        texts.pop(name, None)
                        texts[name] = text
            else:
                index.remove(step)
                for name in step:
                    texts.pop(name, None)
        assert index.ids() == list(texts)
        want = Hybrid(list(texts.values()), HashingEmbedder(32)).scores(query) if texts else []
        np.testing.assert_allclose(index.scores(query, list(texts)), want, atol=1e-5)


def test_without_an_embedder_words_alone_count():
    with Index() as index:
        index.add(records())
        hybrid = Hybrid(list(TEXTS.values()))
        assert index.search("late order", 4) == [
            (list(TEXTS)[place], pytest.approx(score)) for place, score in hybrid.search("late order", 4)
        ]


def test_ranks_can_be_fused_instead_of_scores():
    with Index(None, HashingEmbedder(64), fusion=ReciprocalRank()) as index:
        index.add(records())
        (first, score), *_ = index.search(TEXTS["late"], 2)
    assert first == "late"
    assert score == pytest.approx(2 / 61)


def test_a_store_of_another_encoder_is_refused():
    with pytest.raises(BadInput, match="the store has vectors of hashing-64, the embedder is hashing-32"):
        Index(None, HashingEmbedder(32), ExactVectors("hashing-64", 64))
    with pytest.raises(BadInput, match="the embedder is none"):
        Index(None, None, ExactVectors("hashing-64", 64))


def test_text_that_is_no_valid_unicode_is_refused_by_name():
    with pytest.raises(BadInput, match="'odd': this is no valid Unicode"):
        Record("odd", "half a pair: \ud83d")
