"""Tree search over chunks is never worse than its seed, never over budget, optimal on small pools."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.chunks.rewards.additive import Additive
from ctxeng.chunks.rewards.coverage import Coverage
from ctxeng.chunks.rewards.reranked import Reranked
from ctxeng.chunks.selectors.greedy import Greedy
from ctxeng.chunks.selectors.mcts import Mcts
from ctxeng.search.draw import drawing
from ctxeng.search.tree import TreeSearch
from ctxeng_evals.bench.selection import every_set, instance

REWARD = Coverage(floor=0.1)


def falling(query, texts):
    """A scorer to which the order of "text 3", "text 1" matters."""
    found = []
    for text in texts:
        places = [int(part.split()[-1]) for part in text.split("\n\n")]
        found.append(
            sum(places) / 10 + sum(a > b for a, b in itertools.pairwise(places)) - len(places) ** 2 / 9
        )
    return found


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.integers(1, 12),
    tokens=st.integers(0, 500),
    iterations=st.integers(0, 40),
    seeded=st.booleans(),
    reward=st.sampled_from([REWARD, Additive(), Reranked(falling)]),
)
def test_never_over_budget_and_never_below_its_seed(seed, size, tokens, iterations, seeded, reward):
    some = instance(np.random.default_rng(seed), size)
    found = Mcts(reward, TreeSearch(iterations=iterations), seeded).select(some, tokens)
    assert some.price(found.chosen) <= tokens
    assert len(set(found.chosen)) == len(found.chosen)
    assert found.reward == pytest.approx(reward.on(some).of(found.chosen), abs=1e-12)
    if seeded:
        assert found.reward >= Greedy(reward).select(some, tokens).reward - 1e-12


def test_ten_thousand_random_pools_and_budgets_are_kept_to():
    draw = np.random.default_rng(0)
    selector = Mcts(Additive(), TreeSearch(iterations=3), seeded=False)
    for _ in range(1_000):
        some = instance(draw, int(draw.integers(1, 7)))
        for tokens in draw.integers(0, 300, 10).tolist():
            assert some.price(selector.select(some, tokens).chosen) <= tokens


def test_small_pools_are_searched_to_the_optimum():
    draw = np.random.default_rng(1)
    shares = []
    for _ in range(12):
        some = instance(draw, 10)
        best = every_set(REWARD.on(some), some, 200)[1].max()
        shares.append(Mcts(REWARD).select(some, 200).reward / best)
    assert min(shares) >= 0.99


def test_the_search_goes_where_greedy_is_trapped():
    trap = instance(np.random.default_rng(0), 3)
    trap = dataclasses.replace(
        trap,
        relevance=np.array([0.61, 0.5, 0.5]),
        costs=np.array([6, 5, 5]),
        frames=np.zeros(3, dtype=np.int64),
        groups=np.arange(3),
    )
    assert Greedy(Additive()).select(trap, 10).chosen == (0,)
    assert set(Mcts(Additive()).select(trap, 10).chosen) == {1, 2}


def test_order_is_searched_where_it_counts():
    some = instance(np.random.default_rng(2), 5)
    tokens = int(some.costs.sum() + some.frames.sum())
    worth = Reranked(falling).on(some)
    sets = [chosen for size in range(6) for chosen in itertools.permutations(range(5), size)]
    best = max(sets, key=worth.of)
    found = Mcts(Reranked(falling), TreeSearch(iterations=400), seeded=False).select(some, tokens)
    assert found.reward == worth.of(best)
    assert found.chosen == tuple(sorted(found.chosen, reverse=True))


def test_order_costs_nothing_where_it_does_not_count():
    some = instance(np.random.default_rng(3), 6)
    found = Mcts(REWARD, TreeSearch(iterations=10_000), seeded=False).select(some, 10_000)
    assert found.trace.exhausted
    assert found.batches < 2**6


def test_the_search_says_what_it_took_and_can_be_drawn():
    some = instance(np.random.default_rng(4), 12)
    found = Mcts(REWARD).select(some, 256)
    assert found.calls > Greedy(REWARD).select(some, 256).calls
    assert 0 < found.batches < found.calls
    assert found.note == ""
    assert found.trace.state == found.chosen
    assert drawing(found.trace, lambda place: some.chunks[place].id).startswith("<svg")


def test_a_deadline_leaves_the_seed_and_says_so():
    some = instance(np.random.default_rng(5), 30)
    found = Mcts(REWARD, TreeSearch(deadline=0.0)).select(some, 300)
    assert found.reward >= Greedy(REWARD).select(some, 300).reward - 1e-12
    assert found.note == "the deadline cut the search after 0 iterations"


def test_an_empty_pool_and_chunks_that_cost_nothing_can_be_searched():
    one = instance(np.random.default_rng(7), 2)
    free = dataclasses.replace(one, costs=np.zeros(2, dtype=np.int64), frames=np.zeros_like(one.frames))
    assert len(Mcts(Additive()).select(free, 0).chosen) == 2
    empty = dataclasses.replace(
        one,
        chunks=(),
        costs=one.costs[:0],
        groups=one.groups[:0],
        frames=one.frames[:0],
        relevance=one.relevance[:0],
        vectors=None,
        aspects=None,
        links=None,
    )
    for reward in (Additive(), REWARD, Reranked(falling)):
        assert Mcts(reward).select(empty, 100).chosen == ()


def test_the_same_pool_gives_the_same_choice():
    some = instance(np.random.default_rng(6), 30)
    first, second = (Mcts(REWARD).select(some, 300) for _ in range(2))
    assert (first.chosen, first.reward, first.calls) == (second.chosen, second.reward, second.calls)
