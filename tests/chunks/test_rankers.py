import json

import numpy as np
import pytest

from ctxeng.chunks.named import RANKERS, ranker_named, reward_named, selector_named
from ctxeng.chunks.rank.rankers import SHIPPED, BridgingRanker, HybridRanker, LearnedRanker, read_model
from ctxeng.chunks.rank.view import View
from ctxeng.chunks.rewards.additive import Additive
from ctxeng.errors import BadInput, UnknownName

TEXTS = (
    "Big Stone Gap is a 2014 film by Adriana Trigiani.",
    "It was shot in Virginia.",
    "Adriana Trigiani is a writer based in Greenwich Village.",
    "A stone is a piece of rock.",
    "Big towns have villages near them.",
)
QUERY = "In which village is the director of the film Big Stone Gap based?"
VIEW = View(
    QUERY, TEXTS, np.array([0, 0, 1, 2, 3]), ("Big Stone Gap (film)", "Adriana Trigiani", "Stone", "Town")
)


@pytest.mark.parametrize("name", list(RANKERS))
def test_every_ranker_gives_each_unit_a_relevance_between_0_and_1_and_twice_the_same(name):
    ranker = ranker_named(name)
    found = ranker.rank(VIEW)
    assert found.shape == (5,)
    assert ((found >= 0) & (found <= 1)).all()
    assert ranker.rank(VIEW).tolist() == found.tolist()


@pytest.mark.parametrize("name", list(RANKERS))
def test_a_view_of_nothing_and_a_question_of_nothing_are_ranked(name):
    nothing = View(QUERY, (), np.array([], dtype=np.int64), ())
    assert ranker_named(name).rank(nothing).shape == (0,)
    mute = View("", TEXTS, VIEW.groups, VIEW.titles)
    assert np.isfinite(ranker_named(name).rank(mute)).all()


@pytest.mark.parametrize("ranker", [BridgingRanker(), LearnedRanker()])
def test_links_bring_the_named_paragraph_before_those_that_only_share_words(ranker):
    found = ranker.rank(VIEW)
    assert found[2] > max(found[3], found[4])
    assert found[0] > found[1]


def test_without_vectors_the_hybrid_is_words_alone():
    assert HybridRanker().rank(VIEW).argmax() == 0


def test_the_shipped_model_says_what_it_was_trained_on():
    model = read_model(SHIPPED)
    assert "hotpotqa" in model.data
    assert all("CC BY" in text or "Apache" in text or "MIT" in text for text in model.data.values())
    assert SHIPPED.stat().st_size < 400_000


def test_a_file_that_is_no_model_is_refused_by_name(tmp_path):
    with pytest.raises(BadInput, match=r"nothing\.json"):
        LearnedRanker(tmp_path / "nothing.json").rank(VIEW)
    (tmp_path / "other.json").write_text('{"version": 1}')
    with pytest.raises(BadInput, match=r"other\.json: no re-ranker of ours"):
        LearnedRanker(tmp_path / "other.json").rank(VIEW)


def test_a_model_of_features_that_this_version_lacks_is_refused(tmp_path):
    raw = json.loads(SHIPPED.read_text())
    raw["names"][0] = "telepathy"
    (tmp_path / "model.json").write_text(json.dumps(raw))
    with pytest.raises(BadInput, match="telepathy"):
        LearnedRanker(tmp_path / "model.json").rank(VIEW)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(UnknownName, match="bridging"):
        ranker_named("magic")
    with pytest.raises(UnknownName, match="coverage"):
        reward_named("magic")
    with pytest.raises(UnknownName, match="mcts"):
        selector_named("magic", Additive())
