"""The bench of selectors: its brute force sees every set, its figures are what it says."""

import itertools

import numpy as np
import pytest

from ctxeng.chunks.rewards.additive import Additive
from ctxeng_evals.bench.selection import (
    REWARD,
    RandomFills,
    every_set,
    instance,
    optimality,
    over_budget,
    speed,
)


def test_brute_force_sees_every_set_that_fits_once():
    pool = instance(np.random.default_rng(0), 7)
    prices, worths = every_set(REWARD.on(pool), pool, 200)
    sets = [chosen for size in range(8) for chosen in itertools.combinations(range(7), size)]
    fitting = [chosen for chosen in sets if pool.price(chosen) <= 200]
    assert 10 < len(fitting) < len(sets)
    assert sorted(prices.tolist()) == sorted(pool.price(chosen) for chosen in fitting)
    assert max(worths) == pytest.approx(max(REWARD.on(pool).of(chosen) for chosen in fitting), abs=1e-12)


def test_random_fills_keep_to_their_calls_and_their_budget():
    pool = instance(np.random.default_rng(1), 12)
    found = RandomFills(Additive(), 40).select(pool, 150)
    assert found.calls == 40
    assert 0 < pool.price(found.chosen) <= 150
    assert found.reward == pytest.approx(Additive().on(pool).of(found.chosen))
    assert RandomFills(Additive(), 40).select(pool, 0).chosen == ()


def test_figures_of_a_few_instances_have_their_names_and_ranges():
    rows = {row.name: row for row in optimality(seed=3, instances=3)}
    assert len(rows) == 4 * 3 * 3
    for row in rows.values():
        assert 0 <= row.value <= 100 + 1e-9 or row.unit == "calls"
    for budget in (128, 256, 384, 512):
        mcts = rows[f"mcts, <= 14 chunks, {budget} tokens: share of the optimum"]
        greedy = rows[f"greedy, <= 14 chunks, {budget} tokens: share of the optimum"]
        assert mcts.value >= greedy.value - 1e-9
    assert [row.value for row in over_budget(seed=3, instances=20)] == [0, 0]
    assert all(row.value > 0 for row in speed(seed=3, pools=2) if row.unit == "ms")
