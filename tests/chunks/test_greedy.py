"""Greedy takes what gains most, or most per token, mends its choice, and never spends too much."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.chunks.pool import Pool
from ctxeng.chunks.rewards.additive import Additive
from ctxeng.chunks.rewards.coverage import Coverage
from ctxeng.chunks.selectors.greedy import Greedy
from ctxeng.errors import BadInput
from ctxeng.turn import Chunk
from ctxeng_evals.bench.selection import every_set, instance


def pool(relevance, costs, groups=None, frames=None):
    size = len(relevance)
    return Pool(
        query="q",
        chunks=tuple(Chunk(id=f"c{place}", text=f"text {place}") for place in range(size)),
        costs=np.array(costs),
        groups=np.array(groups if groups is not None else range(size)),
        frames=np.array(frames if frames is not None else [0] * size),
        relevance=np.array(relevance),
    )


# one big chunk of 0.9, or two small ones of 0.5: 10 tokens
BAIT = pool([0.9, 0.5, 0.5], [10, 5, 5])


def test_gain_alone_takes_the_big_chunk_and_gain_per_token_the_small_ones():
    by_gain = Greedy(Additive(), per_token=False, swaps=False).select(BAIT, 10)
    by_rate = Greedy(Additive(), per_token=True, swaps=False).select(BAIT, 10)
    both = Greedy(Additive(), swaps=False).select(BAIT, 10)
    assert (by_gain.chosen, by_rate.chosen, both.chosen) == ((0,), (1, 2), (1, 2))
    assert both.reward == 1.0


def test_a_power_of_nothing_is_gain_alone():
    assert Greedy(Additive(), per_token=True, exponent=0, swaps=False).select(BAIT, 10).chosen == (0,)


def test_an_open_frame_makes_the_next_chunk_of_its_group_cheap():
    framed = pool([0.5, 0.3, 0.31], [5, 5, 5], groups=[0, 0, 1], frames=[10, 10])
    chosen = Greedy(Additive()).select(framed, 20)
    assert chosen.chosen == (0, 1)
    assert framed.price(chosen.chosen) == 20


def test_exchanges_mend_a_greedy_choice():
    wasteful = pool([0.3, 0.5, 0.7], [2, 5, 8])  # by rate 0 and 1 come first, and leave room for nothing
    assert Greedy(Additive(), per_token=True, swaps=False).select(wasteful, 10).chosen == (0, 1)
    assert Greedy(Additive(), per_token=True).select(wasteful, 10).chosen == (0, 2)


def test_one_exchange_at_a_time_does_not_mend_everything():
    trap = pool([0.61, 0.5, 0.5], [6, 5, 5])  # 0 comes first by either rule; 1 and 2 would be worth 1.0
    assert Greedy(Additive()).select(trap, 10).chosen == (0,)


def test_a_chunk_that_does_not_pay_is_left_out_though_it_fits():
    assert Greedy(Additive(floor=0.2)).select(pool([0.5, 0.1], [5, 5]), 100).chosen == (0,)


def test_a_chunk_that_the_others_made_worthless_is_dropped():
    class Grudge:
        """Chunk 0 is best alone and spoils everything else."""

        ordered = False

        def on(self, pool):
            return self

        def of(self, chosen):
            return (
                1.0 * (0 in chosen)
                + sum(0.7 for place in chosen if place)
                - 0.6 * (0 in chosen) * (len(chosen) - 1)
            )

        def extend(self, chosen):
            return np.array([self.of((*chosen, place)) for place in range(3)])

    chosen = Greedy(Grudge(), per_token=False).select(pool([0, 0, 0], [1, 1, 1]), 3)
    assert set(chosen.chosen) == {1, 2}


def test_nothing_fits_and_nothing_there():
    assert Greedy(Additive()).select(BAIT, 4).chosen == ()
    assert Greedy(Additive()).select(BAIT, 0).reward == 0.0


def test_calls_are_counted():
    plain = Greedy(Additive(), per_token=False, swaps=False).select(BAIT, 15)
    assert (plain.chosen, plain.calls, plain.batches) == ((0, 1), 3 + 2, 2)


def test_order_is_mended_where_it_counts():
    class Falling:
        """Worth more where the places fall."""

        ordered = True

        def on(self, pool):
            return self

        def of(self, chosen):
            return len(chosen) + 0.1 * sum(a > b for a, b in itertools.pairwise(chosen))

        def extend(self, chosen):
            return np.array([self.of((*chosen, place)) for place in range(3)])

    level = pool([0, 0, 0], [1, 1, 1])
    assert Greedy(Falling(), swaps=False).select(level, 3).chosen == (0, 1, 2)
    assert Greedy(Falling()).select(level, 3).chosen == (1, 2, 0)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.integers(1, 10), tokens=st.integers(0, 500))
def test_never_over_budget_never_twice_and_never_above_the_optimum(seed, size, tokens):
    some = instance(np.random.default_rng(seed), size)
    reward = Coverage(floor=0.1)
    plain = Greedy(reward, swaps=False).select(some, tokens)
    mended = Greedy(reward).select(some, tokens)
    for found in (plain, mended):
        assert some.price(found.chosen) <= tokens
        assert len(set(found.chosen)) == len(found.chosen)
        assert found.reward == pytest.approx(reward.on(some).of(found.chosen), abs=1e-12)
    assert plain.reward <= mended.reward + 1e-12
    assert mended.reward <= every_set(reward.on(some), some, tokens)[1].max() + 1e-9


def test_options_that_cannot_be_are_refused():
    with pytest.raises(BadInput, match="per_token is 'neither'"):
        Greedy(Additive(), per_token="neither")
    with pytest.raises(BadInput, match="exponent is -1"):
        Greedy(Additive(), exponent=-1)
