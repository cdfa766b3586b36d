import time
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.chunks.selectors.knapsack import Knapsack
from ctxeng.errors import BadInput
from pools import pool_of, pools, random_pool


def best_sum(pool, tokens):
    """By trying every set."""
    sets = (chosen for size in range(len(pool) + 1) for chosen in combinations(range(len(pool)), size))
    return max(
        sum(pool.relevance[place] for place in chosen) for chosen in sets if pool.price(chosen) <= tokens
    )


@settings(max_examples=150, deadline=None)
@given(pools(most=9), st.integers(0, 200))
def test_no_set_under_the_budget_is_worth_more(pool, tokens):
    found = Knapsack().select(pool, tokens)
    assert pool.price(found.chosen) <= tokens
    assert found.reward == pytest.approx(best_sum(pool, tokens), abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(pools(most=10), st.integers(0, 200), st.integers(1, 20))
def test_rounding_costs_up_never_breaks_the_budget(pool, tokens, cells):
    assert pool.price(Knapsack(cells=cells).select(pool, tokens).chosen) <= tokens


def test_a_shared_frame_makes_two_chunks_better_than_the_single_best():
    pool = pool_of([0.9, 0.5, 0.5], costs=[40, 10, 10], groups=[0, 1, 1], frames=[0, 20])
    assert Knapsack().select(pool, 40).chosen == (1, 2)


def test_the_chunks_come_by_relevance():
    assert Knapsack().select(pool_of([0.2, 0.9, 0.5, 0.1]), 30).chosen == (1, 2, 0)


def test_chunks_of_no_relevance_are_left_out():
    assert Knapsack().select(pool_of([0.0, 0.9, 0.0]), 1_000).chosen == (1,)


def test_a_coarse_table_says_so_and_loses_little():
    pool = random_pool(seed=5, count=60)
    exact, coarse = Knapsack().select(pool, 600), Knapsack(cells=200).select(pool, 600)
    assert exact.note == ""
    assert "units of 3 tokens" in coarse.note
    assert 0.97 * exact.reward <= coarse.reward <= exact.reward + 1e-9


def test_a_large_budget_takes_no_longer_than_its_cells():
    pool = random_pool(seed=6, count=200)
    big = pool_of(pool.relevance, pool.costs * 1_000, pool.groups.tolist(), pool.frames * 1_000)
    start = time.perf_counter()
    found = Knapsack().select(big, 2_000_000)
    assert time.perf_counter() - start < 2
    assert 1_900_000 < big.price(found.chosen) <= 2_000_000


def test_a_table_needs_a_cell():
    with pytest.raises(BadInput, match="cells is 0"):
        Knapsack(cells=0)
