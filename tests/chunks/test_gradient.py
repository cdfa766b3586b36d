import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxeng.chunks.selectors.gradient import Feedback, GradientCut
from ctxeng.errors import BadInput
from pools import pool_of

CURVES = {
    2: [0.9, 0.85, 0.3, 0.28, 0.25],
    3: [0.9, 0.8, 0.75, 0.2, 0.19, 0.18],
    5: [0.5, 0.5, 0.5, 0.5, 0.5, 0.1],
    4: [1.0, 0.9, 0.81, 0.729, 0.2, 0.15, 0.11],
}


@pytest.mark.parametrize("expected", sorted(CURVES))
def test_the_cut_is_at_the_largest_relative_drop(expected):
    cut = GradientCut(minimum=1, floor=0.0)
    assert cut.cut(np.array(CURVES[expected])) == expected
    pool = pool_of(CURVES[expected][::-1])  # the pool's order does not matter
    assert len(cut.select(pool, 10_000).chosen) == expected


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=30), st.integers(1, 5))
def test_no_rank_behind_the_minimum_drops_more_than_the_cut(values, minimum):
    scores = np.sort(np.array(values))[::-1]
    cut = GradientCut(minimum=minimum, floor=0.0).cut(scores)
    drops = {rank: (scores[rank - 1] - scores[rank]) / scores[rank - 1] for rank in range(1, len(scores))}
    allowed = [drop for rank, drop in drops.items() if rank >= minimum]
    if cut < len(scores):
        assert cut >= minimum
        assert drops[cut] == pytest.approx(max(allowed))
    else:
        assert max(allowed, default=0.0) == 0.0


def test_a_drop_within_the_minimum_is_not_the_cut():
    assert GradientCut(minimum=3, floor=0.0).cut(np.array([0.9, 0.1, 0.09, 0.03, 0.029])) == 3
    assert GradientCut(minimum=2, floor=0.0).cut(np.array([0.9, 0.1, 0.09, 0.03, 0.029])) == 3


def test_steps_near_zero_do_not_hide_the_fall_of_the_curve():
    tail = np.array([0.9, 0.85, 0.2, 0.19, 0.0001, 0.0])
    assert GradientCut(minimum=1, floor=0.0).cut(tail) == 5
    assert GradientCut(minimum=1, floor=0.1).cut(tail) == 2


def test_the_cut_never_lies_behind_the_maximum():
    scores = np.array([0.9, 0.8, 0.7, 0.1, 0.09])
    assert GradientCut(minimum=1, maximum=2, floor=0.0).cut(scores) == 2
    assert GradientCut(minimum=1, maximum=3, floor=0.0).cut(scores) == 3


def test_a_flat_curve_is_not_cut():
    assert GradientCut(minimum=1).cut(np.full(7, 0.4)) == 7
    assert GradientCut(minimum=1).cut(np.zeros(7)) == 7


def test_what_the_budget_keeps_out_is_told():
    found = GradientCut(minimum=3).select(pool_of([0.9, 0.8, 0.7, 0.1]), 20)
    assert found.chosen == (0, 1)
    assert found.note == "2 of the 3 chunks above the cut fit"


@pytest.mark.parametrize("options", [{"minimum": 0}, {"minimum": 3, "maximum": 2}, {"floor": 1.0}])
def test_options_that_mean_nothing_are_refused(options):
    with pytest.raises(BadInput, match="gradient cut"):
        GradientCut(**options)


# -- feedback ------------------------------------------------------------------------------------------


def test_feedback_moves_the_minimum_by_one_and_keeps_its_log(caplog):
    caplog.set_level(logging.INFO)
    start = Feedback(GradientCut(minimum=3), rounds=3)
    end = start.after("lacking").after("lacking").after("excessive")
    assert end.cut.minimum == 4
    assert end.verdicts == ("lacking", "lacking", "excessive")
    assert start.cut.minimum == 3
    assert caplog.messages == [
        "gradient cut, round 1: lacking, minimum 4",
        "gradient cut, round 2: lacking, minimum 5",
        "gradient cut, round 3: excessive, minimum 4",
    ]


def test_feedback_ends_after_its_rounds_or_when_it_is_enough():
    with pytest.raises(BadInput, match="2 of 2 rounds"):
        Feedback(GradientCut(), rounds=2).after("lacking").after("lacking").after("lacking")
    satisfied = Feedback(GradientCut(), rounds=3).after("enough")
    assert satisfied.done
    with pytest.raises(BadInput, match="done"):
        satisfied.after("lacking")


@given(st.lists(st.sampled_from(["lacking", "excessive"]), max_size=8), st.integers(1, 4))
def test_feedback_keeps_the_minimum_between_one_and_the_maximum(verdicts, minimum):
    feedback = Feedback(GradientCut(minimum=minimum, maximum=4), rounds=8)
    for verdict in verdicts:
        feedback = feedback.after(verdict)
        assert 1 <= feedback.cut.minimum <= 4
