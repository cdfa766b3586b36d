from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxeng.chunks.order import ORDERS, arrange
from ctxeng.errors import UnknownName
from pools import pool_of, pools


@st.composite
def choices(draw):
    pool = draw(pools())
    size = draw(st.integers(0, len(pool)))
    return pool, tuple(draw(st.permutations(range(len(pool))))[:size])


@given(choices(), st.sampled_from(sorted(ORDERS)))
def test_an_order_is_a_permutation(choice, how):
    pool, chosen = choice
    assert sorted(arrange(pool, chosen, how)) == sorted(chosen)


@given(choices(), st.sampled_from(sorted(ORDERS)))
def test_the_chunks_of_a_group_stay_together(choice, how):
    pool, chosen = choice
    groups = [int(pool.groups[place]) for place in arrange(pool, chosen, how)]
    changes = sum(one != other for one, other in pairwise(groups))
    assert changes == max(0, len(set(groups)) - 1)


@given(choices())
def test_source_order_does_not_depend_on_the_order_of_choice(choice):
    pool, chosen = choice
    assert arrange(pool, chosen, "source") == arrange(pool, tuple(sorted(chosen)), "source")


@given(choices(), st.sampled_from(["found", "source"]))
def test_found_and_source_order_are_kept_when_ordered_again(choice, how):
    pool, chosen = choice
    once = arrange(pool, chosen, how)
    assert arrange(pool, once, how) == once


def test_found_is_best_first():
    assert arrange(pool_of([0.1] * 4), (2, 0, 3, 1), "found") == (2, 0, 3, 1)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, (0,)), (2, (0, 1)), (3, (0, 2, 1)), (5, (0, 2, 4, 3, 1)), (6, (0, 2, 4, 5, 3, 1))],
)
def test_ends_has_rank_one_first_rank_two_last_and_the_weakest_in_the_middle(count, expected):
    assert arrange(pool_of([0.1] * count), tuple(range(count)), "ends") == expected


def test_source_is_by_source_then_offset_then_place():
    pool = pool_of([0.1] * 5, sources=["b", "a", "b", "a", "b"], starts=[900, 5, 100, 5, 100])
    assert arrange(pool, (4, 3, 2, 1, 0), "source") == (2, 4, 0, 1, 3)


def test_a_group_ranks_with_its_best_chunk_and_reads_in_source_order_inside():
    pool = pool_of([0.1] * 5, groups=[0, 1, 0, 2, 1], sources=["a", "b", "a", "c", "b"])
    chosen = (2, 4, 3, 0, 1)
    assert arrange(pool, chosen, "found") == (2, 0, 4, 1, 3)
    assert arrange(pool, chosen, "ends") == (0, 2, 3, 1, 4)
    assert arrange(pool, chosen, "source") == (0, 2, 1, 4, 3)


def test_an_unknown_order_is_named_with_those_that_are_known():
    with pytest.raises(UnknownName, match="unknown order 'best'; known: ends, found, source"):
        arrange(pool_of([0.1]), (0,), "best")
