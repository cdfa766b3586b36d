"""Rewards value sets: one by one and with each chunk added alike, in any order where order does not count."""

import itertools
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.chunks.pool import Pool
from ctxeng.chunks.rewards.additive import Additive
from ctxeng.chunks.rewards.counted import Counted
from ctxeng.chunks.rewards.coverage import Coverage
from ctxeng.chunks.rewards.cross_encoder import CrossEncoder
from ctxeng.chunks.rewards.reranked import Reranked
from ctxeng.errors import BadInput
from ctxeng.turn import Chunk
from ctxeng_evals.bench.selection import instance


def letters(query, texts):
    """A scorer that reads the text in its order."""
    return [sum(place % 7 * ord(letter) for place, letter in enumerate(text)) % 97 / 97 for text in texts]


REWARDS = (
    Additive(),
    Additive(floor=0.3),
    Coverage(),
    Coverage(aspects=0, redundancy=0.5, floor=0.2),
    Coverage(bridging=2, relevance=0),
    Reranked(letters),
)


def pool(relevance, **known):
    size = len(relevance)
    return Pool(
        query="q",
        chunks=tuple(Chunk(id=f"c{place}", text=f"text {place}") for place in range(size)),
        costs=np.full(size, 10),
        groups=np.arange(size),
        frames=np.zeros(size, dtype=np.int64),
        relevance=np.array(relevance),
        **known,
    )


def bare(full):
    return pool(full.relevance)


@settings(max_examples=60, deadline=None)
@given(
    reward=st.sampled_from(REWARDS),
    size=st.integers(1, 12),
    seed=st.integers(0, 1000),
    knows=st.booleans(),
    data=st.data(),
)
def test_a_set_with_a_chunk_added_is_worth_what_the_larger_set_is(reward, size, seed, knows, data):
    full = instance(np.random.default_rng(seed), size)
    worth = reward.on(full if knows else bare(full))
    chosen = tuple(data.draw(st.lists(st.integers(0, size - 1), unique=True)))
    extended = worth.extend(chosen)
    assert extended.shape == (size,)
    for place in set(range(size)) - set(chosen):
        assert extended[place] == pytest.approx(worth.of((*chosen, place)), abs=1e-12)
    assert worth.of(()) == 0.0
    if not worth.ordered:
        assert worth.of(chosen) == pytest.approx(worth.of(tuple(reversed(chosen))), abs=1e-12)


def test_an_additive_worth_is_a_sum_and_a_floor_makes_weak_chunks_cost():
    assert Additive().on(pool([0.5, 0.25, 0.125])).of((0, 2)) == 0.625
    assert Additive(floor=0.25).on(pool([0.5, 0.25, 0.125])).of((0, 2)) == 0.125
    assert Additive(floor=0.25).on(pool([0.5, 0.25, 0.125])).extend((0,)).tolist()[1:] == [0.25, 0.125]


def test_aspects_count_by_the_best_chunk_and_their_weight():
    aspects = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 0.25]])
    worth = Coverage(aspects=2, relevance=0).on(
        pool([0, 0, 0], aspects=aspects, weights=np.array([0.75, 0.25]))
    )
    assert worth.of((0,)) == 1.5
    assert worth.of((0, 1)) == 2 * (0.75 * 1.0 + 0.25 * 0.5)
    assert worth.of((0, 1, 2)) == worth.of((0, 1))


def test_a_chunk_counts_more_where_a_chosen_one_leads_to_it():
    links = np.zeros((3, 3))
    links[0, 1], links[2, 1] = 0.5, 1.0
    worth = Coverage(aspects=0, relevance=0, bridging=2, redundancy=0).on(pool([0.8, 0.1, 0.2], links=links))
    assert worth.of((1,)) == 0.0
    assert worth.of((0, 1)) == pytest.approx(2 * 0.5 * 0.8)
    assert worth.of((2, 1)) == pytest.approx(2 * 1.0 * 0.2)
    assert worth.of((0, 1, 2)) == pytest.approx(2 * 0.5 * 0.8)  # the strongest counts, not the sum
    assert worth.of((0, 2)) == 0.0


def test_redundancy_only_breaks_ties():
    vectors = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    worth = Coverage().on(pool([0.5, 0.5, 0.5], vectors=vectors))
    assert worth.of((0, 2)) > worth.of((0, 1))
    close = Coverage().on(pool([0.5, 0.5, 0.48], vectors=vectors))
    assert close.of((0, 2)) < close.of((0, 1))


def test_what_a_pool_does_not_know_counts_as_nothing():
    for chosen in itertools.permutations(range(3), 2):
        assert Coverage().on(pool([0.5, 0.25, 0.125])).of(chosen) == Additive().on(
            pool([0.5, 0.25, 0.125])
        ).of(chosen)


def test_aspects_without_weights_and_weights_below_nothing_are_refused():
    with pytest.raises(BadInput, match="say what each part of the query counts"):
        Coverage().on(pool([0.1], aspects=np.ones((1, 1))))
    with pytest.raises(BadInput, match="the weight of bridging is -1"):
        Coverage(bridging=-1)


def test_a_reranker_reads_the_set_in_its_order_in_one_call_and_remembers_it():
    asked = []

    def score(query, texts):
        asked.append((query, list(texts)))
        return [len(asked) + place for place in range(len(texts))]

    titled = pool([0.1, 0.1, 0.1])
    chunks = [
        chunk.model_copy(update={"title": "A" if place < 2 else ""})
        for place, chunk in enumerate(titled.chunks)
    ]
    worth = Reranked(score).on(Pool(**{**vars(titled), "chunks": tuple(chunks)}))
    assert worth.ordered
    assert worth.of(()) == 0.0
    first = worth.extend((1,))
    assert asked == [("q", ["A\ntext 1\n\ntext 0", "A\ntext 1\n\ntext 2"])]
    assert first.tolist() == [1, -np.inf, 2]
    assert worth.extend((1,)).tolist() == first.tolist()
    assert worth.of((1, 2)) == 2
    assert len(asked) == 1
    worth.of((2, 1))
    assert asked[1] == ("q", ["text 2\n\nA\ntext 1"])


@pytest.mark.parametrize("scores", [[1.0], [float("nan"), 1.0], [1.0, 2.0, 3.0]])
def test_a_reranker_that_does_not_return_a_number_a_text_is_refused(scores):
    with pytest.raises(BadInput, match="one finite number a text: 2 texts"):
        Reranked(lambda query, texts: scores).on(pool([0.1, 0.2])).extend(())


def test_what_a_worth_is_asked_is_counted():
    worth = Counted(Additive().on(pool([0.5, 0.25, 0.125])))
    worth.of((0, 1))
    worth.extend((1,))
    worth.of(())
    assert (worth.calls, worth.batches, worth.ordered) == (3, 2, False)


def test_a_folder_without_a_cross_encoder_is_refused_before_anything_loads(tmp_path):
    before = set(sys.modules)
    with pytest.raises(BadInput, match=r"no cross-encoder \(config.json, weights\) in this folder"):
        CrossEncoder(tmp_path)("q", ["text"])
    assert "sentence_transformers" not in set(sys.modules) - before


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch and transformers, about themselves
def test_a_cross_encoder_from_a_folder_scores_between_nothing_and_one(tmp_path):
    transformers = pytest.importorskip("transformers", reason="needs the onbox extra")
    pytest.importorskip("sentence_transformers", reason="needs the onbox extra")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "q", "text", *"0123456789"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=1,
    )
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path)
    transformers.BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    worth = Reranked(CrossEncoder(tmp_path)).on(pool([0.1, 0.2, 0.3]))
    extended = worth.extend((1,))
    assert 0 < extended[0] < 1
    assert extended[0] == worth.of((1, 0))
    assert CrossEncoder(tmp_path)("q", []) == []
