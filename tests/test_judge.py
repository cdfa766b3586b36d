"""Judges score what can be compared and say nothing where they cannot tell."""

import pytest

from ctxeng.errors import UnknownName
from ctxeng.judge import ByExecution, contains, exact, judge_named, numeric, overlap
from ctxeng.turn import Answer, Labelled, Observed, Request, Truth, Turn, Unlabelled, assistant, user


def turn(text=None):
    answer = Answer(message=assistant(text)) if text is not None else None
    return Turn(id="t", request=Request(query=user("q")), answer=answer)


@pytest.mark.parametrize(
    ("score", "answer", "target", "value"),
    [
        (exact, " Yes. ", "yes", 1),
        (exact, "60%", "60", 0),
        (exact, "-5", "5", 0),
        (exact, "C#", "C++", 0),
        (exact, "(Yes).", "yes", 1),
        (exact, "yes and no", "yes", 0),
        (numeric, "The ratio is 5.00", "5.0", 1),
        (numeric, "1,234.504", "1234.5", 1),
        (numeric, "5.02", "5.0", 0),
        (numeric, "none", "5.0", 0),
        (contains, "It is the blue jay, surely", "Blue jay", 1),
        (contains, "bluejay", "blue", 0),
        (overlap, "a, b", "b,c", 1 / 3),
        (overlap, "", "", 1),
    ],
)
def test_scores(score, answer, target, value):
    assert score(answer, target) == pytest.approx(value)


def test_a_turn_without_an_answer_scores_nothing_and_one_without_a_truth_is_unlabelled():
    judge = judge_named("exact")
    assert judge.judge(turn(), Truth(target="x")) == Labelled(score=0, truth=Truth(target="x"))
    assert judge.judge(turn("x"), None) == Unlabelled()


def test_any_of_several_truths_will_do():
    assert judge_named("exact").judge(turn("b"), Truth(target=["a", "b"])).score == 1


def test_execution_feedback_looks_at_no_label():
    judge = ByExecution(lambda given: (float(given.answer.text == "ran"), "exit code 0"))
    assert judge.judge(turn("ran"), Truth(target="anything")) == Observed(score=1, evidence="exit code 0")


def test_an_unknown_judge_is_named_with_those_there_are():
    with pytest.raises(UnknownName, match="contains, exact, none, numeric, overlap"):
        judge_named("jury")


def test_a_list_is_several_right_answers_or_one_answer_of_several_items():
    assert judge_named("exact").judge(turn("b"), Truth(target=["a", "b"])).score == 1
    assert judge_named("overlap").judge(turn("b, a"), Truth(target=["a", "b"])).score == 1
    assert judge_named("overlap").judge(turn("a"), Truth(target=["a", "b"])).score == 0.5


def test_a_number_is_not_compared_with_a_word():
    feedback = judge_named("numeric").judge(turn("5"), Truth(target="five"))
    assert feedback == Unlabelled(comment="the judge cannot compare with 'five'")
