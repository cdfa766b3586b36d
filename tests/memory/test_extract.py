"""Summaries by choosing lines: never over the room, the newest value, who said it, the same every time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.memory.extract import ExtractiveSummarizer
from ctxeng.memory.summary import fold_all
from ctxeng.tokens import Estimate

COUNT = Estimate()
SUMMARY = ExtractiveSummarizer(COUNT)
TEXT = """[m1 user] I need a flight from Rome to Oslo on May 20. Please use the card ending in 4711.
[m2 assistant] Of course, I can help with that. Let me look.
[m3 tool] (result of c1) HAT136 leaves at 06:00 and costs $152. HAT039 leaves at 12:00 and costs $131.
[m4 assistant] Anything else that I can do for you today?"""


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=600), st.text(max_size=600), st.integers(0, 120))
def test_it_is_never_over_its_room(summary, text, room):
    assert COUNT.count(SUMMARY.fold(summary, text, room).text) <= max(room, 0)


def test_lines_stand_in_order_with_who_said_them():
    lines = SUMMARY.fold("", TEXT, 400).text.split("\n")
    assert lines[0].startswith("- [m1 user] I need a flight from Rome to Oslo")
    assert [line.split("]")[0] for line in lines] == sorted(line.split("]")[0] for line in lines)


def test_under_pressure_what_the_user_wants_stays_and_pleasantries_go():
    said = SUMMARY.fold("", TEXT, 60).text
    assert "4711" in said or "Oslo" in said
    assert "Anything else" not in said


def test_folded_again_a_line_keeps_its_source():
    first = SUMMARY.fold("", TEXT, 120).text
    again = SUMMARY.fold(first, "[m9 user] Book it.", 160).text
    assert "[m1 user]" in again
    assert "- [m9 user] Book it." in again


def test_of_lines_that_differ_in_numbers_the_newest_stays():
    first = SUMMARY.fold("", "[m1 user] The budget is 500 euros.", 100).text
    said = SUMMARY.fold(first, "[m5 user] The budget is 700 euros.", 100).text
    assert said == "- [m5 user] The budget is 700 euros."


def test_it_says_the_same_every_time():
    assert len({SUMMARY.fold("", TEXT, 70).text for _ in range(5)}) == 1


@pytest.mark.parametrize("text", ["", "   \n\n", "[m1 user] "])
def test_of_nothing_there_is_no_summary(text):
    assert SUMMARY.fold("", text, 100).text == ""


def test_a_needle_survives_a_hundred_folds_of_chatter():
    pieces = ["[m1 user] The access code of the vault is 73-51-99."]
    pieces += [
        f"[m{n} assistant] Fine, let us go on and talk about the sea and its tides." for n in range(2, 100)
    ]
    assert "73-51-99" in fold_all(SUMMARY, "", pieces, 120).text
