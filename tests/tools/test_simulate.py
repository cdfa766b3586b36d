"""Replays: what is counted, and that a stand-in model searches only where the mode lets one."""

import pytest

from ctxeng.errors import BadInput, UnknownName
from ctxeng.tools.catalogue import Catalogue
from ctxeng.tools.manage import schema_line
from ctxeng.tools.modes import AUTONOMOUS, HYBRID, WORKFLOW
from ctxeng.tools.policy import SlidingWindow
from ctxeng.tools.simulate import Asked, read_sessions, replay, summary
from ctxeng.tools.toolset import ToolSet
from ctxeng.turn import Tool


def tools(mode=WORKFLOW, cap=2, **options):
    catalogue = Catalogue()
    about = {"mail": "send a letter by mail", "weather": "weather of a city", "refund": "pay money back"}
    catalogue.add([Tool(name=name, description=text) for name, text in about.items()])
    return ToolSet(catalogue, mode, cap=cap, found=1, **options)


def price(section):
    return 10 if isinstance(section.body, str) else len(schema_line(section.body)) // 10


def asked(*turns):
    return [Asked(request=request, needs=needs, session=session) for request, needs, session in turns]


def test_each_turn_says_what_was_there_and_what_changed():
    given = asked(
        ("send a letter", ("mail",), "a"),
        ("another letter by mail", ("mail",), "a"),
        ("the weather in the city", ("weather", "refund"), "a"),
    )
    first, second, third = replay(tools(cap=1, policy=SlidingWindow(calm=0.7)), given, price)
    assert (first.loaded, first.added, first.present, first.calm, first.same) == (1, 1, True, False, False)
    assert (second.added, second.removed, second.calm, second.same) == (0, 0, True, True)
    assert (third.added, third.removed, third.share, third.present) == (1, 1, 0.5, False)
    found = summary([first, second, third])
    assert (found.turns, found.calm, found.same) == (3, 1, 1.0)
    assert found.present == pytest.approx(2 / 3)
    assert found.share == pytest.approx(2.5 / 3)
    assert found.tokens == pytest.approx((first.tokens + second.tokens + third.tokens) / 3)


def test_what_comes_back_is_counted_as_loaded_again():
    given = asked(
        ("send a letter by mail", ("mail",), "a"),
        ("weather of a city", ("weather",), "a"),
        ("send a letter by mail", ("mail",), "a"),
    )
    assert [one.readded for one in replay(tools(cap=1), given, price)] == [0, 0, 1]


def test_sessions_do_not_see_each_others_tools():
    given = asked(("send a letter by mail", ("mail",), "a"), ("pay it back", ("refund",), "b"))
    assert [one.removed for one in replay(tools(cap=1), given, price)] == [0, 0]


@pytest.mark.parametrize("mode", [HYBRID, AUTONOMOUS])
def test_where_the_model_searches_a_stand_in_does_and_only_for_what_is_missing(mode):
    given = asked(("send a letter by mail", ("mail",), "a"), ("one more letter", ("mail",), "a"))
    first, second = replay(tools(mode), given, price)
    assert (first.loaded, first.present) == (1, True)
    assert (second.added, second.same) == (0, True)


def test_a_needed_tool_that_is_not_there_is_an_error():
    with pytest.raises(UnknownName, match="fly"):
        list(replay(tools(), asked(("fly", ("fly",), "a")), price))


def test_nothing_replayed_has_no_means():
    with pytest.raises(BadInput, match="no turns"):
        summary([])


def test_an_empty_file_says_what_a_line_looks_like(tmp_path):
    path = tmp_path / "turns.jsonl"
    path.write_text("\n")
    with pytest.raises(BadInput, match="each line is"):
        read_sessions(path)
