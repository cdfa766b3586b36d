"""Learning without a model: labelled turns become cases, cited cases get votes, nothing leaks."""

import pytest

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.entry import Entry
from ctxeng.playbook.learners.onbox import OnboxReflector
from ctxeng.turn import (
    Answer,
    Labelled,
    Observed,
    Request,
    Result,
    Step,
    Truth,
    Turn,
    Unlabelled,
    assistant,
    user,
)

RED = Entry(id="cases-aaaaa", kind="exemplar", section="cases", when="a rose", text="red")
BLUE = Entry(id="cases-bbbbb", kind="exemplar", section="cases", when="the sky", text="blue")
GREEN = Entry(id="cases-ccccc", kind="exemplar", section="cases", when="grass", text="green")
BOOK = Playbook.of([RED, BLUE, GREEN])


def turn(feedback, said="red", cited=(), name="t1", question="a tulip", **fields):
    return Turn(
        id=name,
        request=Request(query=user(question)),
        answer=Answer(message=assistant(said), cited=cited),
        feedback=feedback,
        **fields,
    )


def truth(target):
    return Labelled(score=0, truth=Truth(target=target))


def propose(*turns, book=BOOK, **options):
    return OnboxReflector(origin="trusted", **options).propose(turns, book).deltas


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_a_labelled_turn_right_or_wrong_becomes_a_case(score):
    (add,) = propose(turn(Labelled(score=score, truth=Truth(target="red"))))
    assert (add.entry.when, add.entry.text, add.entry.kind) == ("a tulip", "red", "exemplar")
    assert add.provenance.turns == ("t1",)


def test_a_cited_case_is_helpful_where_it_says_the_right_thing_harmful_where_it_misled():
    deltas = propose(turn(truth("blue"), said="red", cited=(RED.id, BLUE.id, GREEN.id)))
    votes = {delta.id: delta.votes for delta in deltas if delta.op == "tag"}
    assert votes == {RED.id: {"harmful": 1}, BLUE.id: {"helpful": 1}}, "green said neither and misled nobody"


def test_the_same_case_is_learned_once():
    assert len(propose(turn(truth("red")), turn(truth("red"), name="t2"))) == 1
    assert propose(turn(truth("red"), question="a rose")) == ()


def test_unlabelled_turns_teach_nothing_and_observed_ones_only_what_worked():
    assert propose(turn(Unlabelled())) == ()
    assert propose(turn(Observed(score=0.5))) == ()
    (add,) = propose(turn(Observed(score=1.0), said="green"))
    assert add.entry.text == "green"


def test_what_a_tool_returned_makes_a_case_a_candidate():
    step = Step(answer=Answer(message=assistant("")), results=(Result(call_id="k", text="web"),))
    (add,) = propose(turn(truth("red"), steps=(step,)))
    assert (add.entry.status, add.provenance.trust) == ("candidate", "untrusted")


def test_an_id_that_was_removed_is_not_minted_again():
    (add,) = propose(turn(truth("red")))
    grown = BOOK.apply([add]).playbook
    gone = grown.apply(grown.apply([]).inverse).playbook.apply(BOOK.apply([add]).inverse).playbook
    (again,) = propose(turn(truth("red")), book=gone)
    assert again.entry.id != add.entry.id
