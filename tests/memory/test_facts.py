"""What users say of things: the newest value, the older ones with their time, nothing out of chatter."""

from __future__ import annotations

import pytest

from ctxeng.memory.facts import bearing, contradictions, stated, states
from ctxeng.memory.stored import Fact


@pytest.mark.parametrize(
    ("text", "subject", "value"),
    [
        ("My deadline is now March 15, 2024, so hurry.", "deadline", "March 15, 2024"),
        ("I've increased my budget from $500 to $700 and I'm glad.", "budget", "$700"),
        ("The weekly meeting was moved to Tuesday.", "weekly meeting", "Tuesday"),
        ("I live in Rome now.", "live in", "Rome"),
        ("Mary went back to the kitchen.", "where Mary is", "kitchen"),
        ("Our team's API quota has been increased from 1,000 to 1,500.", "team's API quota", "1,500"),
    ],
)
def test_a_statement_is_a_fact(text, subject, value):
    (fact,) = stated(text)
    assert (fact.subject, fact.value) == (subject, value)


@pytest.mark.parametrize(
    "text",
    [
        "What is my deadline?",
        "When was the meeting moved to Tuesday?",
        "Could you tell me whether my budget is fine?",
        "Thanks, that helps a lot!",
        "Tell me a joke about the sea.",
        "",
        "I prefer tea. I use a lamp.",
    ],
)
def test_questions_and_chatter_state_nothing(text):
    assert stated(text) == []


def test_the_newest_value_holds_and_the_older_one_keeps_its_time():
    facts = [
        *stated("My deadline is Friday.", "2026-01-01T10:00:00", "a:m1"),
        *stated("I moved my deadline to Monday.", "2026-02-01T10:00:00", "b:m7"),
    ]
    (state,) = states(facts).values()
    assert state.newest.value == "Monday"
    assert state.text == "deadline: Monday (since 2026-02-01); earlier: Friday (2026-01-01)"
    assert state.newest.source == "b:m7"
    assert contradictions(facts) == [state]


def test_what_is_said_again_holds_anew_and_is_no_contradiction():
    facts = [Fact(subject="budget", value=v, time=t) for v, t in (("500", "1"), ("700", "2"), ("500", "3"))]
    (state,) = states(facts).values()
    assert state.newest.value == "500"
    assert [fact.value for fact in state.earlier] == ["700"]
    assert contradictions([facts[0], facts[2]]) == []


def test_facts_bear_on_a_question_that_names_their_subject():
    facts = [Fact(subject="sprint end date", value="May 3"), Fact(subject="date", value="May 9")]
    assert [s.newest.value for s in bearing(facts, "When is the end date of my sprint?")] == [
        "May 3",
        "May 9",
    ]
    assert bearing(facts, "What is the sprint about?") == []
