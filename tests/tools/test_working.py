"""The working set: the two operators, the rule of eviction, what a turn adds and removes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxeng.errors import BadInput, UnknownName
from ctxeng.tools.working import Held, Working, add, by_server, remove


def held(*names, turn=5, **needed):
    """A set in turn 5 whose tools were last needed in the turns given, in 1 otherwise."""
    return Working(turn=turn, held=tuple(Held(name=name, needed=needed.get(name, 1)) for name in names))


# -- adding -------------------------------------------------------------------------------------------------


def test_new_tools_come_behind_those_that_are_loaded():
    change = add(held("a", "b"), ["d", "b", "c", "d"], cap=4)
    assert change.working.names == ("a", "b", "d", "c")
    assert change.added == ("d", "c")
    assert (change.removed, change.refused) == ((), ())
    found = {one.name: (one.added, one.needed) for one in change.working.held}
    assert found == {"a": (0, 1), "b": (0, 5), "c": (5, 5), "d": (5, 5)}


def test_at_the_cap_what_was_needed_longest_ago_goes():
    change = add(held("a", "b", "c", a=3, b=2, c=4), ["x"], cap=3)
    assert change.working.names == ("a", "c", "x")
    assert change.removed == ("b",)


def test_of_those_needed_as_long_ago_the_lowest_score_goes_then_what_came_first():
    tools = Working(
        turn=9,
        held=(
            Held(name="a", score=0.5, added=1),
            Held(name="b", score=0.1, added=2),
            Held(name="c", score=0.1, added=1),
        ),
    )
    assert add(tools, ["x"], cap=3).removed == ("c",)
    assert add(tools, ["x", "y"], cap=3).removed == ("c", "b")


def test_busy_and_named_tools_are_never_evicted_and_what_finds_no_room_is_refused():
    change = add(held("a", "b", "c", a=1, b=2, c=3), ["x", "b", "y"], cap=3, busy=["a"])
    assert change.working.names == ("a", "b", "x")
    assert (change.added, change.removed, change.refused) == (("x",), ("c",), ("y",))


def test_refusing_instead_of_evicting_loads_as_far_as_there_is_room():
    change = add(held("a", "b"), ["x", "y", "a"], cap=3, full="refuse")
    assert (change.added, change.removed, change.refused) == (("x",), (), ("y",))


def test_more_than_the_cap_at_once_is_cut_and_said():
    change = add(held("a"), ["x", "y", "z"], cap=2)
    assert (change.added, change.removed, change.refused) == (("x", "y"), ("a",), ("z",))


@pytest.mark.parametrize("cap", [0, -3])
def test_a_cap_below_one_is_refused(cap):
    with pytest.raises(BadInput, match="cap"):
        add(held("a"), ["b"], cap=cap)


names = st.sampled_from("abcdefghij")


@given(
    there=st.lists(names, unique=True, max_size=6),
    wanted=st.lists(names, max_size=8),
    busy=st.sets(names),
    spare=st.integers(0, 4),
    full=st.sampled_from(["evict", "refuse"]),
)
def test_an_addition_keeps_the_cap_and_accounts_for_every_name(there, wanted, busy, spare, full):
    before = held(*there)
    cap = max(1, len(there) + spare - 2)
    change = add(before, wanted, cap, full=full, busy=busy)
    after = set(change.working.names)
    assert after == (set(there) - set(change.removed)) | set(change.added)
    assert set(wanted) <= after | set(change.refused)
    assert not set(change.refused) & after
    assert not set(change.removed) & (busy | set(wanted))
    assert len(after) <= max(cap, len(there))
    if full == "evict" and len(set(there) & (busy | set(wanted))) <= cap:
        assert len(after) <= cap
    kept = [name for name in there if name in after]
    assert list(change.working.names[: len(kept)]) == kept  # the block's beginning stays as it was
    if full == "refuse":
        assert change.removed == ()


# -- removing -----------------------------------------------------------------------------------------------


def test_what_is_removed_is_gone_and_the_others_keep_their_order():
    change = remove(held("a", "b", "c"), ["b", "b"])
    assert change.working.names == ("a", "c")
    assert change.removed == ("b",)


def test_a_tool_in_an_open_call_cannot_be_removed_and_nothing_goes_then():
    with pytest.raises(BadInput, match="b is in use by a call that is still open"):
        remove(held("a", "b"), ["a", "b"], busy=["b"])


def test_a_tool_that_is_not_loaded_cannot_be_removed():
    with pytest.raises(UnknownName, match="'x'; known: a, b"):
        remove(held("a", "b"), ["x"])


def test_a_server_and_a_star_stands_for_its_tools():
    servers = {"git": ["search", "issue"], "": ["add"]}
    assert by_server(["add", "git/*", "search"], servers) == ["add", "search", "issue"]
    assert by_server(["/*"], servers) == ["add"]
    with pytest.raises(UnknownName, match="server 'hub'"):
        by_server(["hub/*"], servers)


# -- turns --------------------------------------------------------------------------------------------------


def test_showing_keeps_what_is_known_of_tools_and_takes_the_order_that_is_given():
    before = Working(turn=4, held=(Held(name="a", needed=2, uses=3), Held(name="b")))
    after = before.showing(["c", "a"])
    assert after.held == (Held(name="c", added=4, needed=4), Held(name="a", needed=2, uses=3))
    assert after.showing(["c", "a"]) is after


def test_calls_count_as_need_and_are_remembered_newest_last():
    after = held("a", "b").used(["a", "x", "a"]).used(["b", "x"])
    assert [(one.name, one.uses, one.needed) for one in after.held] == [("a", 2, 5), ("b", 1, 5)]
    assert after.called == ("a", "b", "x")


def test_the_removal_ratio_is_that_of_the_last_three_turns():
    working = Working()
    assert working.removal_ratio == 1.0
    for names_ in (["a", "b", "c", "d"], ["a", "b"], ["b", "x", "y"], ["y"]):
        before = working.names
        working = working.next_turn().showing(names_).flowed(before)
    # added and removed: (4, 0) has left the window; (0, 2), (2, 1), (0, 2)
    assert working.flow == ((0, 2), (2, 1), (0, 2))
    assert working.removal_ratio == pytest.approx(5 / 2)
    assert working.turn == 4


def test_a_set_survives_json():
    working = held("a", "b").used(["a"]).flowed(["c"])
    assert Working.model_validate_json(working.model_dump_json()) == working
