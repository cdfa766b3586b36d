import numpy as np
import pytest

from ctxeng.chunks.selectors.mmr import Mmr
from ctxeng.chunks.selectors.top_k import TopK
from ctxeng.errors import BadInput
from pools import pool_of, random_pool

TWINS = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)  # the first two say the same


def test_a_repeat_of_what_is_chosen_comes_after_something_new():
    pool = pool_of([0.9, 0.85, 0.5], vectors=TWINS)
    assert Mmr(balance=0.5).select(pool, 100).chosen == (0, 2, 1)
    assert TopK().select(pool, 100).chosen == (0, 1, 2)


def test_a_balance_of_one_is_relevance_alone():
    pool = random_pool(seed=1, count=20)
    assert Mmr(balance=1.0).select(pool, 150).chosen == TopK().select(pool, 150).chosen


def test_every_step_takes_the_highest_marginal_relevance_of_what_fits():
    pool = random_pool(seed=2, count=25)
    chosen = Mmr(balance=0.6).select(pool, 200).chosen
    assert len(chosen) > 3
    for step, place in enumerate(chosen):
        before = list(chosen[:step])
        value = {
            other: 0.6 * pool.relevance[other]
            - 0.4 * max((float(pool.vectors[other] @ pool.vectors[one]) for one in before), default=0.0)
            for other in range(len(pool))
            if other not in before and pool.price([*before, other]) <= 200
        }
        assert value[place] == pytest.approx(max(value.values()), abs=1e-6)


def test_without_vectors_it_goes_by_relevance_and_says_so():
    found = Mmr().select(pool_of([0.1, 0.9]), 10)
    assert found.chosen == (1,)
    assert "no vectors" in found.note


@pytest.mark.parametrize("balance", [-0.1, 1.1, float("nan")])
def test_a_balance_outside_of_zero_to_one_is_refused(balance):
    with pytest.raises(BadInput, match="balance"):
        Mmr(balance=balance)
