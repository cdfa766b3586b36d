"""Of lines that say the same of one thing, the newer value stays; lists stay whole."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.memory.extract_lines import read_lines
from ctxeng.memory.extract_newest import newest_of


def left(*said: str, role: str = "user") -> list[str]:
    text = "\n".join(f"[m{number} {role}] {each}" for number, each in enumerate(said, 1))
    return [line.text for line in newest_of(read_lines("", text))]


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("The budget is 900 euros.", "The budget is 1,200 euros."),
        ("We meet at 9:30.", "We meet at 14:00."),
        ("The deadline is Friday.", "The deadline is Monday."),
        ("It starts in March.", "It starts in April."),
        ("I live in Rome.", "I live in Oslo."),
        ("My manager is Ann.", "My manager is Bo."),
        ("Call me back.", "Call me back."),
    ],
)
def test_the_newer_of_two_values_stays(before, now):
    assert left(before, "Fine so far.", now) == ["Fine so far.", now]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Room 12 has 3 beds.", "Room 14 has 2 beds."),
        ("Ann lives in Rome.", "Bo lives in Rome."),
        ("The budget is 900 euros.", "The rent is 900 euros."),
        ("I saw Rome.", "I saw Oslo."),
    ],
)
def test_what_is_said_of_two_things_stays(one, other):
    assert left(one, other) == [one, other]


def test_what_one_message_lists_stays():
    assert left("It costs 5 euros.\n\nIt costs 9 euros.") == ["It costs 5 euros.", "It costs 9 euros."]


def test_values_that_tools_return_are_never_replaced():
    rows = ["HAT136 has 5 seats.", "HAT136 has 9 seats."]
    assert left(*rows, role="tool") == rows


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(alphabet="ab1#= .is2MR\n", max_size=30), max_size=8))
def test_nothing_goes_without_a_later_line_of_as_many_words(texts):
    before = read_lines("", "\n".join(f"[m{n} user] {text}" for n, text in enumerate(texts, 1)))
    after = newest_of(before)
    assert [line.place for line in after] == sorted(line.place for line in after)
    for gone in set(before) - set(after):
        assert any(
            later.place > gone.place and len(later.text.split()) == len(gone.text.split()) for later in after
        )
