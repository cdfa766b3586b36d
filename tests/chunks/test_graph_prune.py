import numpy as np
import pytest

from ctxeng.chunks.graph.cut import cut, grown, parts
from ctxeng.chunks.graph.index import GraphIndex
from ctxeng.chunks.graph.joints import Joints
from ctxeng.chunks.graph.prune import Prune
from ctxeng.chunks.graph.retrieve import Steiner
from ctxeng.chunks.graph.triples import from_triples
from ctxeng.errors import BadInput
from ctxeng.retrieval.embed import HashingEmbedder

FACTS = [
    ("aspirin", "treats", "headache"),
    ("aspirin", "is made by", "Bayer"),
    ("aspirin", "interacts with", "warfarin"),
    ("aspirin", "was first sold in", "1899"),
    ("warfarin", "treats", "thrombosis"),
    ("Bayer", "has its seat in", "Leverkusen"),
    ("copper", "conducts", "heat"),
]
INDEX = GraphIndex(from_triples(FACTS), HashingEmbedder(512))


def kept(query, index=INDEX, **options):
    places = Prune(**options).kept(index, index.ask(query))
    return [index.graph.statements[place].text for place in places]


def test_of_the_named_entity_the_statements_above_both_thresholds_stay():
    assert kept("which company is aspirin made by?", floor=0.3) == ["aspirin is made by Bayer."]
    assert kept("which company is aspirin made by?", floor=0.99) == []


def test_a_lower_percentile_keeps_more_of_each_entity():
    everything = kept("what is aspirin?", percentile=0, floor=0.0)
    assert len(everything) == 4
    assert 1 <= len(kept("what is aspirin?", percentile=75, floor=0.0)) < 4


def test_statements_of_other_entities_are_not_looked_at():
    assert len(kept("what is aspirin?", percentile=0, floor=-1)) == 4
    both = kept("does copper treat a headache?", percentile=0, floor=-1)
    assert sorted(both) == ["aspirin treats headache.", "copper conducts heat."]


def test_hops_go_on_from_what_was_kept():
    query = "where is the seat of the maker of aspirin, which it is made by?"
    assert "Bayer has its seat in Leverkusen." not in kept(query, floor=0.1)
    assert "Bayer has its seat in Leverkusen." in kept(query, floor=0.1, percentile=50, hops=2)


def test_a_question_that_names_nothing_leads_to_the_nearest_entity():
    assert kept("the conducting coppery thing", floor=0.0, nodes=1) == ["copper conducts heat."]
    assert len(kept("the conducting coppery thing", floor=-1, percentile=0, nodes=7)) > 1


def test_an_entity_with_one_statement_keeps_it():
    assert kept("what does copper conduct?", floor=0.1) == ["copper conducts heat."]


def test_at_most_so_many_are_shared_among_the_entities():
    query = "aspirin and copper"
    assert len(kept(query, percentile=0, floor=-1)) == 5
    assert len(kept(query, percentile=0, floor=-1, most=4)) == 3  # two of the four of aspirin, all of copper


def test_without_an_encoder_the_floor_is_relative_to_the_best_words():
    words = GraphIndex(from_triples(FACTS))
    assert kept("is aspirin made by Bayer?", words)[0] == "aspirin is made by Bayer."


def test_what_does_not_fit_is_skipped():
    asked = INDEX.ask("what is aspirin?")
    prices = dict(enumerate([50, 10, 10, 10, 10, 10, 10]))
    chosen = Prune(percentile=0, floor=-1).select(INDEX, asked, prices.__getitem__, 25)
    assert len(chosen) == 2
    assert 0 not in chosen


@pytest.mark.parametrize(
    ("options", "message"),
    [({"percentile": 101}, "percentile is 101"), ({"most": 0}, "most"), ({"hops": 0}, "hops")],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(BadInput, match=message):
        Prune(**options)


@pytest.mark.parametrize("options", [{"nodes": -1}, {"edges": 0}, {"cost": 0}])
def test_a_tree_needs_prizes_and_costs(options):
    with pytest.raises(BadInput, match="steiner: "):
        Steiner(**options)


CHAIN = [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_a_cut_takes_the_rim_first_and_what_is_worth_least_a_token():
    worth = {0: 1.0, 1: 0.0, 2: 1.0, 3: 0.5}
    assert cut(range(4), CHAIN, worth, lambda _: 10, 40) == (0, 1, 2, 3)
    assert cut(range(4), CHAIN, worth, lambda _: 10, 30) == (0, 1, 2)
    assert cut(range(4), CHAIN, worth, lambda place: 40 if place == 0 else 10, 60) == (1, 2, 3)


def test_what_exceeds_the_budget_by_itself_parts_the_rest_and_the_better_part_stays():
    worth = {0: 1.0, 1: 5.0, 2: 1.0, 3: 1.0}
    assert cut(range(4), CHAIN, worth, lambda place: 99 if place == 1 else 10, 50) == (2, 3)
    assert cut(range(4), CHAIN, worth, lambda _: 99, 50) == ()


def test_parts_are_what_hangs_together():
    assert parts([0, 1, 3], CHAIN) == [{0, 1}, {3}]


def test_growing_takes_neighbours_by_worth_and_leaves_what_is_worth_nothing():
    joints = Joints(6, [*CHAIN, (1, 5)])
    worth = np.array([1, 0.5, 0.9, 0, 0.7], dtype=np.float32)
    assert grown([0], joints, worth, lambda _: 10, 20) == (0, 4)
    assert grown([0], joints, worth, lambda _: 10, 30) == (0, 1, 4)
    assert grown([0], joints, worth, lambda _: 10, 999) == (0, 1, 2, 4)
    assert grown([], joints, worth, lambda _: 10, 999) == ()


def test_growing_ranks_a_statement_among_the_others_of_its_entity():
    joints = Joints(5, [(0, 1), (1, 2), (0, 3), (0, 4)])
    worth = np.array([1, 0.1, 0.8, 0.6], dtype=np.float32)
    assert grown([0], joints, worth, lambda _: 10, 30) == (0, 1, 2)  # the best of each end, then the rest
    assert grown([0], joints, worth, lambda _: 10, 40) == (0, 1, 2, 3)
