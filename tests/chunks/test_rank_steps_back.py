"""The learned ranker where the names it lives on are absent."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxeng.chunks.explain import explain
from ctxeng.chunks.rank.rankers import BridgingRanker, HybridRanker, LearnedRanker
from ctxeng.chunks.rank.view import View
from ctxeng.chunks.rewards.coverage import Coverage
from ctxeng.chunks.selector import ChunkSelector, narrowed
from ctxeng.chunks.selectors.greedy import Greedy
from ctxeng.turn import Chunk

MEETING = (
    "so i think the buttons should be a bit larger than they are now",
    "yeah but then it would not fit the hand of a child any more",
    "we could leave out those that nobody uses, like the ones for sound",
)
FILMS = (
    "Big Stone Gap is a 2014 film by Adriana Trigiani.",
    "It was shot in Virginia.",
    "Adriana Trigiani is a writer based in Greenwich Village.",
)
QUERY = "What about the buttons for sound?"


def view(texts, query=QUERY):
    return View(query, texts, np.arange(len(texts)), tuple(f"T{place}" for place in range(len(texts))))


def words(chunk):
    return len(chunk.text.split()) + 1


def choice(texts, ranker):
    chunks = [Chunk(id=f"c{place}", text=text, title=f"T{place}") for place, text in enumerate(texts)]
    return ChunkSelector(ranker, Greedy(Coverage())).choose(QUERY, chunks, 30, words)


def test_where_there_are_few_names_relevance_is_the_hybrid_score():
    assert LearnedRanker().steps_back(view(MEETING))
    assert LearnedRanker().rank(view(MEETING)).tolist() == HybridRanker().rank(view(MEETING)).tolist()


def test_where_there_are_names_or_none_are_needed_relevance_is_as_learned():
    learned = LearnedRanker(names_needed=0)
    assert not LearnedRanker().steps_back(view(FILMS))
    assert LearnedRanker().rank(view(FILMS)).tolist() == learned.rank(view(FILMS)).tolist()
    assert learned.rank(view(MEETING)).tolist() != HybridRanker().rank(view(MEETING)).tolist()
    assert learned.note(view(MEETING)) == ""


def test_names_are_counted_once_a_unit_and_numbers_are_none():
    assert view(("Oslo lies where Oslo lay in 1048",)).name_density == pytest.approx(1 / 7)
    assert view(("nothing here", "")).name_density == 0
    assert view(()).name_density == 0


def test_the_explanation_says_that_it_stepped_back_and_of_which_numbers():
    found = explain(choice(MEETING, LearnedRanker()), 30)
    assert found.note.startswith("ranked by words and meaning, not as learned: 0.000 names a word, 0.12")
    assert explain(choice(FILMS, LearnedRanker()), 30).note == ""
    assert explain(choice(MEETING, BridgingRanker()), 30).note == ""


def test_a_narrowed_pool_keeps_the_note():
    pool = choice(MEETING, LearnedRanker()).pool
    assert narrowed(pool, [0]).note == pool.note != ""


def test_a_reward_over_what_it_says_then_is_that_over_the_hybrid_score():
    made, plain = choice(MEETING, LearnedRanker()), choice(MEETING, HybridRanker())
    assert made.selection.chosen == plain.selection.chosen != ()
    assert made.selection.reward == plain.selection.reward > 0


@given(st.lists(st.text(alphabet="ab OS.9", min_size=0, max_size=40), min_size=1, max_size=6))
def test_relevance_stays_between_0_and_1_and_the_same_whether_it_steps_back_or_not(texts):
    seen = view(tuple(texts), "a b Oslo")
    found = LearnedRanker().rank(seen)
    assert ((found >= 0) & (found <= 1)).all()
    assert LearnedRanker().rank(seen).tolist() == found.tolist()
    assert bool(LearnedRanker().note(seen)) == LearnedRanker().steps_back(seen)
