import numpy as np
import pytest

from ctxeng.chunks.rank.features import features, guess, links
from ctxeng.chunks.rank.view import View, best_of, ranks, relative

TEXTS = (
    "Big Stone Gap is a 2014 film by Adriana Trigiani.",
    "It was shot in Virginia.",
    "Adriana Trigiani is a writer based in Greenwich Village.",
    "The weather is mild.",
)
TITLES = ("Big Stone Gap (film)", "Adriana Trigiani", "Weather")
QUERY = "In which New York village is the director of Big Stone Gap based?"


def view(vectors=None, texts=TEXTS, titles=TITLES):
    asked = None if vectors is None else vectors[0]
    return View(QUERY, texts, np.array([0, 0, 1, 2]), titles, vectors, asked)


def unit_rows(seed=0, dim=8):
    rows = np.random.default_rng(seed).normal(size=(4, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_unit_that_says_another_groups_title_leads_to_it_and_never_to_its_own():
    naming = view().naming
    assert naming.shape == (4, 3)
    assert naming[0].tolist() == [0.0, 1.0, 0.0]
    assert naming[1:].sum() == 0


def test_units_of_two_groups_that_share_a_rare_name_are_linked_both_ways():
    texts = ("Anna Kern met Bob.", "x", "Later Anna Kern left.", "nothing")
    sharing = view(texts=texts, titles=("A1", "B1", "C1")).sharing
    assert sharing[0, 2] > 0
    assert sharing[0, 2] == sharing[2, 0]
    assert sharing[0, 1] == 0  # the same group


def test_the_query_says_titles_without_their_parenthesis():
    assert view().asked_for.tolist() == [1.0, 0.0, 0.0]


def test_weights_of_the_query_s_terms_add_up_to_one():
    assert view().weights.sum() == pytest.approx(1.0)


def test_the_named_paragraph_is_believed_more_through_its_link():
    known = links(view())
    assert known["named_by"][2] == known["belief"][0] > 0
    assert known["named_by"][3] == 0


def test_features_are_as_many_with_and_without_vectors_and_unknown_ones_are_no_numbers():
    bare, full = features(view()), features(view(unit_rows()))
    assert list(bare) == list(full)
    assert np.isnan(bare["cosine"]).all()
    assert not any(np.isnan(column).any() for column in full.values())
    assert list(links(view())) == list(links(view(unit_rows())))


def test_every_feature_has_a_value_for_every_unit_also_in_a_view_without_titles():
    untitled = view(titles=("", "", ""))
    for name, column in {**features(untitled), **links(untitled)}.items():
        assert column.shape == (4,), name


def test_links_follow_the_belief_that_is_given():
    strong = links(view(), np.array([1.0, 0.0, 0.0, 0.0]))["named_by"][2]
    weak = links(view(), np.array([0.1, 0.0, 0.0, 1.0]))["named_by"][2]
    assert (strong, weak) == (1.0, pytest.approx(0.1))


def test_a_view_of_nothing_has_no_rows():
    empty = View("q", (), np.array([], dtype=np.int64), ())
    assert guess(empty).shape == (0,)


def test_helpers_rank_scale_and_group():
    assert ranks(np.array([1.0, 3.0, 2.0])).tolist() == [2, 0, 1]
    assert relative(np.array([-1.0, 0.0])).tolist() == [0.0, 0.0]
    assert best_of(np.array([1.0, 5.0, 2.0]), np.array([0, 0, 1]), 3).tolist() == [5.0, 2.0, 0.0]
