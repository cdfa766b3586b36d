"""Both policies: calm while nothing is missing, stable in order, never over the cap."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.errors import BadInput
from ctxeng.tools.policy import Decay, SlidingWindow
from ctxeng.tools.rank import Ranked
from ctxeng.tools.working import Held, Working

NAMES = tuple("abcdefgh")
POLICIES = [SlidingWindow(), SlidingWindow(window=1, calm=1.0, extra=0), Decay(), Decay(rate=0.9, least=0.5)]


def ranked(**scores):
    return Ranked(NAMES, np.array([scores.get(name, 0.0) for name in NAMES], dtype=np.float32))


def held(*names, turn=5, **needed):
    return Working(turn=turn, held=tuple(Held(name=name, needed=needed.get(name, turn)) for name in names))


def turned(policy, working, found, cap=4):
    """A turn's set, and the set the next turn starts from."""
    working = policy.filled(policy.pruned(working, found, cap), found, cap)
    return working, working.next_turn()


# -- both ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES)
def test_nothing_changes_while_all_that_is_needed_is_loaded(policy):
    working = held("c", "a", "b", turn=50, c=1, b=2)
    found = ranked(a=1.0, c=0.2, d=0.1)
    assert turned(policy, working, found)[0].names == ("c", "a", "b")
    assert turned(policy, working, ranked())[0].names == ("c", "a", "b")


@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_missing_is_loaded_behind_what_stays(policy):
    after, _ = turned(policy, held("c", "a"), ranked(b=1.0, a=0.8, c=0.8))
    assert after.names[:3] == ("c", "a", "b")
    assert {one.name: one.added for one in after.held}["b"] == 5


@pytest.mark.parametrize("policy", POLICIES)
def test_a_tool_that_is_needed_now_stays_in_its_place_however_old_it_is(policy):
    working = held("a", "b", "c", turn=50, a=1, b=1, c=1)
    found = ranked(a=1.0, d=1.0)
    pruned = policy.pruned(working, found, 4)
    assert pruned.names[0] == "a"
    assert policy.filled(pruned, found, 4).names[0] == "a"
    assert "d" in policy.filled(pruned, found, 4).names


@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_needed_comes_before_all_else_at_the_cap(policy):
    rich = Working(turn=5, held=tuple(Held(name=n, needed=5, uses=9, score=50.0) for n in "abcd"))
    after = policy.filled(rich, ranked(g=1.0, h=0.99, a=0.3, b=0.3, c=0.3, d=0.3), 4)
    needed = {"g", "h"} if policy != POLICIES[1] else {"g"}
    assert needed <= set(after.names)
    assert len(after.names) == 4


@pytest.mark.parametrize("policy", POLICIES)
def test_a_set_larger_than_the_cap_is_cut_to_it(policy):
    after, _ = turned(policy, held(*"abcdef"), ranked(a=1.0), cap=3)
    assert 1 <= len(after.names) <= 3
    assert after.names[0] == "a"


scores = st.fixed_dictionaries({name: st.floats(0, 4, width=32) for name in NAMES})


@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=60, deadline=None)
@given(
    start=st.permutations(NAMES),
    size=st.integers(0, 8),
    requests=st.lists(scores, min_size=1, max_size=5),
    cap=st.integers(1, 6),
    called=st.lists(st.sampled_from(NAMES), max_size=3),
)
def test_the_cap_holds_the_needed_are_there_and_the_order_stays(policy, start, size, requests, cap, called):
    working = held(*start[:size], turn=1)
    for request in requests:
        found = ranked(**request)
        after, following = turned(policy, working, found, cap)
        best = found.best(cap)
        needed = [name for name, score in best if score >= policy.calm * best[0][1]]
        assert set(needed) <= set(after.names)
        assert len(after.names) == len(set(after.names)) <= cap
        kept = policy.pruned(working, found, cap).names
        assert list(kept) == [name for name in working.names if name in kept]
        old = [name for name in kept if name in after.names]
        assert list(after.names[: len(old)]) == old
        if set(needed) <= set(working.names) and len(working.names) <= cap:
            assert after.names == working.names
        assert all(one.needed == working.turn for one in after.held if one.name in needed)
        again, _ = turned(policy, working, found, cap)
        assert again == after
        working = following.used(called)


# -- the sliding window -----------------------------------------------------------------------------------


def test_tools_stay_for_the_window_after_they_were_last_needed():
    policy = SlidingWindow(window=3, extra=0)
    _, working = turned(policy, Working(turn=1), ranked(a=1.0))
    _, working = turned(policy, working, ranked(b=1.0))
    assert turned(policy, working, ranked(c=1.0))[0].names == ("a", "b", "c")
    _, working = turned(policy, working, ranked(b=1.0))  # all there: calm
    assert turned(policy, working, ranked(c=1.0))[0].names == ("b", "c")  # a: needed three turns ago


def test_a_call_keeps_a_tool_that_no_request_names():
    policy = SlidingWindow(window=2, extra=0)
    working = held("a", "b", turn=5, a=3, b=3).used(["a"]).next_turn()
    assert turned(policy, working, ranked(c=1.0))[0].names == ("a", "c")


def test_the_set_is_filled_up_only_when_it_changes_anyway():
    found = ranked(a=1.0, b=0.5, c=0.4, d=0.3, e=0.2)
    assert turned(SlidingWindow(), Working(turn=1), found)[0].names == ("a", "b", "c", "d")
    assert turned(SlidingWindow(extra=1), Working(turn=1), found)[0].names == ("a", "b")
    assert turned(SlidingWindow(), held("a"), found)[0].names == ("a",)


def test_at_the_cap_this_turns_scores_decide_who_stays():
    after, _ = turned(SlidingWindow(), held("a", "b", "c"), ranked(d=1.0, c=0.5, a=0.1), cap=2)
    assert after.names == ("c", "d")


@pytest.mark.parametrize("fields", [{"window": 0}, {"calm": 1.5}, {"calm": -0.1}, {"extra": -1}])
def test_a_window_that_makes_no_sense_is_refused(fields):
    with pytest.raises(BadInput, match=next(iter(fields))):
        SlidingWindow(**fields)


# -- decay ------------------------------------------------------------------------------------------------


def test_scores_fade_and_gain_by_request_and_call_by_hand():
    policy = Decay(rate=0.5, call=0.25)
    working = Working(turn=3, held=(Held(name="a", score=0.8, needed=2, uses=1), Held(name="b", score=0.8)))
    after, following = turned(policy, working, ranked(a=2.0, b=1.0))
    assert [one.score for one in after.held] == pytest.approx([0.4 + 1.0 + 0.25, 0.4 + 0.5])
    after, _ = turned(policy, following, ranked())
    assert [one.score for one in after.held] == pytest.approx([0.825 + 0.25, 0.45])


def test_what_has_faded_below_the_least_goes_once_something_is_missing():
    policy = Decay(rate=0.1, least=0.2)
    working = Working(turn=9, held=(Held(name="a", score=1.0), Held(name="b", score=5.0)))
    assert policy.pruned(working, ranked(), 4).names == ("a", "b")
    assert policy.pruned(working, ranked(c=1.0), 4).names == ("b",)


def test_a_tool_of_high_faded_score_outlasts_the_next_best_of_this_request():
    working = Working(turn=9, held=(Held(name="a", score=3.0), Held(name="b", score=0.1)))
    after, _ = turned(Decay(), working, ranked(c=1.0, d=0.5), cap=2)
    assert after.names == ("a", "c")


@pytest.mark.parametrize("fields", [{"rate": 1.1}, {"calm": -0.1}, {"least": 2.0}, {"call": -1.0}])
def test_a_decay_that_makes_no_sense_is_refused(fields):
    with pytest.raises(BadInput, match=next(iter(fields))):
        Decay(**fields)
