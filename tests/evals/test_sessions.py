"""Memory as an evaluation's subject: budgets hold, refs lead back to items; metrics on cases done by hand."""

from __future__ import annotations

import pytest

from ctxeng.tokens import Estimate
from ctxeng_evals.case import Case, Dataset, Item, Outcome, Piece
from ctxeng_evals.metrics import Seen, answer_values, gold_words, newest_gold
from ctxeng_evals.subjects.sessions import SessionSubject, SummarySubject

ITEMS = (
    Item(id="a", text="My budget is 500 euros for the trip to Oslo.", kind="message", role="user"),
    *(
        Item(
            id=f"x{n}", text=f"Let us talk about topic {n} at length. " * 12, kind="message", role="assistant"
        )
        for n in range(30)
    ),
    Item(id="b", text="I raised my budget to 700 euros.", kind="message", role="user"),
    *(
        Item(
            id=f"y{n}",
            text=f"And now about subject {n}, which is long. " * 12,
            kind="message",
            role="assistant",
        )
        for n in range(30)
    ),
)
CASE = Case(id="1", question="What is my budget?", target="It is 700 euros.", pool="p", gold=("a", "b"))
DATA = Dataset(name="d", cases=(CASE,), pools={"p": ITEMS})


@pytest.mark.parametrize("budget", [150, 400, 1_000])
def test_a_session_recalls_what_is_asked_for_within_the_budget(budget):
    outcome = SessionSubject(Estimate(), budget, share=0.9).open(DATA)(CASE)
    assert ({"b"} if budget < 400 else {"a", "b"}) <= set(outcome.selected)
    assert sum(piece.tokens for piece in outcome.window) <= budget


def test_without_facts_it_still_recalls():
    outcome = SessionSubject(Estimate(), 400, share=0.9, facts=False).open(DATA)(CASE)
    assert "b" in outcome.selected


def test_a_summary_alone_is_within_its_budget():
    outcome = SummarySubject(Estimate(), 200).open(DATA)(CASE)
    (piece,) = outcome.window
    assert piece.tokens <= 200
    assert "700" in piece.text


def seen(*refs, text=""):
    pieces = [Piece(source="s", kind="message", ref=ref) for ref in refs]
    pieces += [Piece(source="s", kind="summary", text=text)] if text else []
    return Seen(CASE, Outcome(selected=refs, window=tuple(pieces)), DATA)


def test_the_newest_gold_item_counts_alone():
    assert newest_gold(seen("a")) == 0
    assert newest_gold(seen("b", "x1")) == 1


def test_gold_words_are_counted_in_any_text_of_the_window():
    assert gold_words(seen("a", "b")) == 1
    assert gold_words(seen(text="nothing of it")) == 0
    assert 0 < gold_words(seen("a")) < 1


def test_values_of_the_answer_are_counted_wherever_they_stand():
    assert answer_values(seen(text="they said 700 in passing")) == 1
    assert answer_values(seen("a")) == 0
