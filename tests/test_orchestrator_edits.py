"""What a user makes of an answer is feedback: scored by code, logged, learned from once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ctxeng.errors import ApprovalNeeded, BadInput, ModelError, UnknownTurn
from ctxeng.feedback import edit_distance, similarity, tokens
from ctxeng.judge import NoJudge
from ctxeng.learn import Learning
from ctxeng.models.scripted import ScriptedModel
from ctxeng.playbook.learners.evidence import failed, outcome
from ctxeng.playbook.learners.onbox import right_answer
from ctxeng.playbook.learners.preference import PreferenceLearner
from ctxeng.playbook.store import PlaybookStore
from ctxeng.record import TurnLog
from ctxeng.train import score_of
from ctxeng.turn import Edited, Feedback, Request, Scope, user
from turns import build

DRAFT = "It is done! All of it works!"
CALM = "It is done. All of it works."


def app(tmp_path, replies=(DRAFT,), approve="auto"):
    store = PlaybookStore(tmp_path / "ann.yaml")
    learning = Learning(store, NoJudge(), PreferenceLearner(), approve=approve)
    return build(ScriptedModel(list(replies)), log=TurnLog(tmp_path / "turns.jsonl"), learning=learning)


def test_an_edit_is_scored_logged_and_learned_from_days_later(tmp_path):
    turn = app(tmp_path).invoke("How is it going?")
    later = app(tmp_path, [])
    learned = later.feedback(turn.id, edit=CALM)
    assert [delta.op for delta in learned.applied] == ["add"]
    later.close()
    logged = TurnLog(tmp_path / "turns.jsonl").get(turn.id)
    assert logged.feedback == Edited(score=1 - 2 / 9, text=CALM)
    (entry,) = PlaybookStore(tmp_path / "ann.yaml").open().own
    assert (entry.when, entry.text) == ("How is it going?", "The user wants no exclamation marks.")
    assert logged.deltas == (entry.id,)


def test_the_same_edit_twice_teaches_once_and_a_corrected_one_anew(tmp_path):
    running = app(tmp_path)
    turn = running.invoke("How is it going?")
    running.feedback(turn.id, edit=CALM)
    before = running.learning.store.playbook
    running.feedback(turn.id, edit=CALM)
    assert running.learning.store.playbook == before
    running.feedback(turn.id, edit=f"- {CALM}")
    assert running.learning.store.playbook.own[0].text == (
        "The user wants no exclamation marks; bullet points."
    )


def test_an_untouched_answer_scores_1_and_teaches_nothing(tmp_path):
    running = app(tmp_path)
    turn = running.invoke("How is it going?")
    assert running.feedback(turn.id, edit=f"{DRAFT}\n").applied == ()
    assert running.log.get(turn.id).feedback.score == 1
    assert len(running.learning.store.playbook) == 0


def test_a_person_approves_what_an_edit_teaches(tmp_path):
    running = app(tmp_path, approve="human")
    turn = running.invoke("How is it going?")
    with pytest.raises(ApprovalNeeded):
        running.feedback(turn.id, edit=CALM)
    running.approve(turn.id)
    assert len(running.learning.store.playbook) == 1


@pytest.mark.parametrize("also", [{"truth": "x"}, {"score": 0.5}, {"comment": "x"}, {"evidence": "x"}])
def test_an_edit_stands_alone(tmp_path, also):
    running = app(tmp_path)
    turn = running.invoke("How is it going?")
    with pytest.raises(BadInput, match="edit alone"):
        running.feedback(turn.id, edit=CALM, **also)


def test_there_is_nothing_to_edit_where_there_was_no_answer_or_no_turn_in_this_scope(tmp_path):
    running = app(tmp_path, [ModelError("down")])
    with pytest.raises(ModelError):
        running.invoke("go", turn_id="t")
    with pytest.raises(BadInput, match="'t' ended without an answer"):
        running.feedback("t", edit=CALM)
    with pytest.raises(UnknownTurn):
        running.feedback("nowhere", edit=CALM)
    running = app(tmp_path)
    turn = running.invoke(Request(query=user("q"), scope=Scope(user="ann")))
    with pytest.raises(UnknownTurn, match="in this scope"):
        running.feedback(turn.id, edit=CALM, scope=Scope(user="bob"))


def test_an_edit_survives_json_and_is_a_feedback_like_the_others(tmp_path):
    given_back = Edited.of(DRAFT, CALM)
    adapter = TypeAdapter(Feedback)
    assert adapter.validate_json(adapter.dump_json(given_back)) == given_back
    turn = app(tmp_path).invoke("q").model_copy(update={"feedback": given_back})
    assert score_of(turn) == given_back.score
    assert failed(turn)
    assert CALM in outcome(turn)
    assert right_answer(turn) == CALM
    with pytest.raises(ValidationError):
        Edited(score=1.5, text="x")


# -- the distance


def by_table(first, second):
    """Levenshtein distance by its recurrence."""
    row = list(range(len(second) + 1))
    for place, one in enumerate(first, 1):
        corner, row[0] = row[0], place
        for column, other in enumerate(second, 1):
            corner, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, corner + (one != other)),
            )
    return row[-1]


WORDS = st.lists(st.sampled_from("abcd"), max_size=80)


@given(WORDS, WORDS)
def test_the_distance_is_levenshteins(first, second):
    assert edit_distance(first, second) == by_table(first, second)


@given(st.text(), st.text())
def test_a_similarity_is_symmetric_between_0_and_1_and_1_for_the_same_tokens_only(first, second):
    assert 0 <= similarity(first, second) <= 1
    assert similarity(first, second) == similarity(second, first)
    assert (similarity(first, second) == 1) == (tokens(first) == tokens(second))


def test_tokens_are_words_marks_and_line_breaks():
    assert tokens(" - It's 3.5,\n\n\nok! ") == ["-", "It", "'", "s", "3", ".", "5", ",", "\n", "ok", "!"]


def test_a_long_text_is_compared_and_an_endless_one_refused():
    text = "word " * 100_000
    assert similarity(text, f"{text} more") == pytest.approx(1, abs=1e-4)
    with pytest.raises(BadInput, match="20000 tokens"):
        similarity(text, "other " * 100_000)
