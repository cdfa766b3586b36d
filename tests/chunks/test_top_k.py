import pytest

from ctxeng.chunks.selectors.top_k import TopK
from ctxeng.errors import BadInput
from pools import pool_of


def test_the_most_relevant_come_first_and_ties_go_by_place():
    assert TopK().select(pool_of([0.2, 0.9, 0.5, 0.9]), 100).chosen == (1, 3, 2, 0)


def test_what_no_longer_fits_is_skipped_and_smaller_chunks_follow():
    pool = pool_of([0.9, 0.8, 0.7], costs=[50, 60, 40])
    assert TopK().select(pool, 90).chosen == (0, 2)


def test_no_more_than_the_count_are_chosen():
    assert TopK(count=2).select(pool_of([0.1, 0.3, 0.2]), 1_000).chosen == (1, 2)
    assert TopK(count=0).select(pool_of([0.1]), 1_000).chosen == ()


def test_a_frame_is_paid_once_a_group():
    pool = pool_of([0.9, 0.8, 0.7], costs=[10, 10, 10], groups=[0, 1, 0], frames=[20, 20])
    assert TopK().select(pool, 40).chosen == (0, 2)  # 30 and 10; the other group would cost 30 more


def test_an_exponent_of_one_ranks_by_relevance_a_token_frame_included():
    pool = pool_of([0.9, 0.5, 0.5], costs=[90, 10, 10], groups=[0, 1, 2], frames=[0, 0, 90])
    assert TopK(exponent=1.0).select(pool, 1_000).chosen == (1, 0, 2)


def test_the_reward_is_the_summed_relevance():
    assert TopK(count=2).select(pool_of([0.5, 0.25, 0.125]), 100).reward == 0.75


def test_a_negative_count_is_refused():
    with pytest.raises(BadInput, match="count is -1"):
        TopK(count=-1)
