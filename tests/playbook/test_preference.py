"""Preferences learned from edits: filed by context, updated, split and merged, newest wins, nothing leaks."""

import numpy as np
import pytest

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.learners.preference import PreferenceLearner
from ctxeng.playbook.learners.preference_near import closest, extract, shares, together
from ctxeng.playbook.learners.preference_source import PreferenceSource
from ctxeng.playbook.store import PlaybookStore
from ctxeng.protocols import Allowance
from ctxeng.turn import (
    Answer,
    Edited,
    Labelled,
    Observed,
    Request,
    Result,
    Step,
    Truth,
    Unlabelled,
    assistant,
    user,
)
from edited import BULLETS, CALM, DRAFT, EMBED, FREE, MAIL, MAIL_AGAIN, NOTES, entries, grown, turn


def test_an_edit_becomes_a_preference_filed_under_what_the_request_was_about():
    (add,) = PreferenceLearner().propose([turn(BULLETS)], Playbook()).deltas
    entry = add.entry
    assert (entry.kind, entry.section, entry.when) == ("preference", "preferences", MAIL)
    assert entry.text == "The user wants bullet points."
    assert (add.provenance.turns, add.provenance.trust, entry.status) == (("t1",), "user", "active")


def test_other_feedback_and_an_untouched_draft_teach_nothing():
    said = turn(DRAFT)
    others = [
        Labelled(score=0, truth=Truth(target="x")),
        Observed(score=0.5),
        Unlabelled(),
        Edited.of(DRAFT, f"  {DRAFT}\n"),
    ]
    turns = [said.model_copy(update={"feedback": feedback}) for feedback in others]
    assert PreferenceLearner().propose(turns, Playbook()).deltas == ()


def test_a_later_edit_in_the_same_context_updates_its_entry_and_the_newest_wins():
    book = grown(turn(BULLETS), turn(CALM, MAIL_AGAIN))
    assert entries(book) == [(MAIL, "The user wants bullet points; no exclamation marks.")]
    first = book.own[0].id
    book = grown(turn(DRAFT, MAIL_AGAIN, draft=BULLETS), book=book)
    assert entries(book) == [(MAIL, "The user wants prose without a list; no exclamation marks.")]
    assert book.own[0].id == first


def test_the_turns_of_one_batch_build_on_one_another():
    turns = [turn(BULLETS, name="a"), turn(CALM, MAIL_AGAIN, name="b")]
    deltas = PreferenceLearner().propose(turns, Playbook()).deltas
    assert [delta.op for delta in deltas] == ["add", "update"]
    assert entries(Playbook().apply(deltas).playbook) == entries(grown(turn(BULLETS), turn(CALM, MAIL_AGAIN)))


def test_an_exchange_of_words_that_two_edits_of_a_batch_make_is_learned():
    say = "You may {} the lamp and {} it off."
    turns = [
        turn(say.format("use", do), draft=say.format("utilise", do), name=do) for do in ("turn", "switch")
    ]
    (add, _) = PreferenceLearner().propose(turns, Playbook()).deltas
    assert add.entry.text == "The user wants “use” instead of “utilise”."
    assert PreferenceLearner().propose(turns[:1], Playbook()).deltas == ()


def test_the_same_preference_in_another_context_extends_the_entry_that_says_it():
    book = grown(turn(BULLETS), turn(BULLETS, NOTES))
    assert entries(book) == [(f"{MAIL}; or {NOTES}", "The user wants bullet points.")]
    assert grown(turn(BULLETS), turn(BULLETS, NOTES), spread=1) != book


def test_a_context_that_wants_something_else_parts_from_a_shared_entry():
    book = grown(turn(BULLETS), turn(BULLETS, NOTES), turn(CALM, NOTES))
    assert entries(book) == [
        (MAIL, "The user wants bullet points."),
        (NOTES, "The user wants bullet points; no exclamation marks."),
    ]
    shared, parted = book.own
    assert book.provenance(parted.id).parents == (shared.id,)


def test_entries_that_come_to_say_the_same_are_merged_into_the_older():
    both = grown(turn(BULLETS), turn(DRAFT, NOTES, draft=BULLETS), turn(BULLETS, NOTES))
    assert entries(both) == [(f"{MAIL}; or {NOTES}", "The user wants bullet points.")]
    assert both.own[0].id == grown(turn(BULLETS)).own[0].id


def test_saying_it_again_and_an_untouched_draft_vote_for_the_preference():
    book = grown(turn(BULLETS), turn(BULLETS, MAIL_AGAIN))
    (entry,) = book.own
    assert book.votes(entry.id) == {"helpful": 1}
    shown = turn(BULLETS, MAIL_AGAIN, draft=BULLETS, shown={"playbook": (entry.id,)})
    assert grown(shown, book=book).votes(entry.id) == {"helpful": 2}
    unseen = turn(BULLETS, MAIL_AGAIN, draft=BULLETS)
    assert grown(unseen, book=book) == book, "what was not in the window cannot have helped"


def test_an_edit_after_a_tool_ran_is_a_candidate_and_changes_nothing_of_more_trust():
    step = Step(answer=Answer(message=assistant("")), results=(Result(call_id="k", text="web"),))
    book = grown(turn(BULLETS), turn(CALM, MAIL_AGAIN, steps=(step,)))
    old, new = book.own
    assert old.text == "The user wants bullet points."
    assert (new.status, book.provenance(new.id).trust) == ("candidate", "untrusted")
    again = grown(turn(CALM, MAIL_AGAIN, steps=(step,)), book=book)
    assert len(again) == 2, "the candidate is found again"


def test_frozen_and_retired_entries_stay_as_they_are():
    for status in ("frozen", "retired"):
        held = FREE.model_copy(update={"status": status})
        book = grown(turn(BULLETS), book=Playbook.of([held]), origin="trusted")
        assert book.own[0] == held
        assert len(book) == 2


def test_the_k_closest_are_found_by_context_and_the_nearer_holds():
    book = grown(turn(BULLETS), turn(DRAFT, NOTES, draft=BULLETS))
    near = closest(book, MAIL, 2, EMBED)
    assert [entry.when for entry, _ in near] == [MAIL, NOTES]
    assert near[0][1] > near[1][1] > 0
    assert [entry.when for entry, _ in closest(book, MAIL, 1, EMBED)] == [MAIL]
    assert together(near, within=0) == "The user wants bullet points."
    assert together(list(reversed(near)), within=0) == "The user wants prose without a list."
    assert closest(book, MAIL, 0, EMBED) == []
    assert together([]) == ""


def gathered(book, question, tokens=1_000, **options):
    allowance = Allowance(tokens, lambda section: len(section.body.text.split()))
    return PreferenceSource(lambda: book, **options).gather(Request(query=user(question)), allowance)


def test_as_a_source_each_section_says_what_the_nearer_ones_leave_open():
    book = grown(turn(BULLETS), turn(CALM, NOTES, draft=BULLETS))
    assert book.own[1].text == "The user wants prose without a list; no exclamation marks."
    near, far = gathered(book, MAIL, within=0)
    assert near.body.text == "The user wants bullet points."
    assert far.body.text == "The user wants no exclamation marks."
    assert [near.ref, far.ref] == [entry.id for entry in book.own]
    assert together(closest(book, MAIL, 5, EMBED), 0) == (
        "The user wants no exclamation marks; bullet points."
    )
    assert [section.ref for section in gathered(book, MAIL, k=1)] == [near.ref]
    assert gathered(book, MAIL, tokens=0) == []
    assert gathered(book, "Something of no kin.") == []


def test_as_a_source_a_candidate_is_untrusted_and_can_be_left_out():
    book = Playbook.of([FREE.model_copy(update={"status": "candidate"})])
    assert [section.trust for section in gathered(book, MAIL)] == ["untrusted"]
    assert gathered(book, MAIL, candidates=False) == []


def test_what_is_far_off_compared_with_the_nearest_and_what_is_not_kin_at_all_is_left_out():
    near, far, none = (
        FREE.model_copy(update={"id": f"preferences-aaaa{letter}", "when": letter, "text": f"Say {letter}."})
        for letter in "abc"
    )
    vectors = {"q": (1, 0), "a": (0.8, 0.6), "b": (0.3, 0.954), "c": (0, 1)}
    found = closest(
        Playbook.of([none, far, near]), "q", 5, lambda texts: np.array([vectors[text] for text in texts])
    )
    assert [entry.id for entry, _ in found] == [near.id, far.id]
    assert [entry.id for entry, _ in shares(found)] == [near.id]
    assert [entry.id for entry, _ in shares(found, within=0.3)] == [near.id, far.id]


def test_what_a_person_wrote_is_not_changed_by_an_edit_of_less_trust():
    book = grown(turn(BULLETS), book=Playbook.of([FREE]))
    assert entries(book) == [(MAIL, "Be kind."), (MAIL, "The user wants bullet points.")]


def test_other_kinds_of_entries_are_no_preferences():
    book = Playbook.of([FREE.model_copy(update={"kind": "bullet"})])
    assert closest(book, MAIL, 5, EMBED) == []


def test_a_preference_without_a_context_holds_everywhere():
    book = Playbook.of([FREE.model_copy(update={"when": ""})])
    assert (
        together(closest(book, NOTES, 1, lambda texts: np.zeros((len(texts), 4), np.float32))) == "Be kind."
    )


def test_an_extract_is_one_line_of_bounded_length():
    assert extract("One thing.\n\nAnother; or\x07 a third.") == "One thing. Another; a third."
    assert len(extract("word " * 10_000)) <= 240
    assert extract("Short. " + "x" * 400) == "Short."
    assert extract(" \n") == ""


def test_an_entry_can_be_listed_changed_and_removed_by_its_id(tmp_path):
    with PlaybookStore(tmp_path / "ann.yaml") as store:
        deltas = PreferenceLearner().propose([turn(BULLETS)], store.playbook).deltas
        store.apply(deltas, by="learn")
        (entry,) = store.commit().own
        path = tmp_path / "ann.yaml"
        path.write_text(path.read_text().replace("bullet points", "a numbered list; hand-made words"))
        store.apply(PreferenceLearner().propose([turn(CALM)], store.refresh()).deltas, by="learn")
        assert store.commit().get(entry.id).text == (
            "The user wants a numbered list; hand-made words; no exclamation marks."
        )


# -- with a model


@pytest.mark.parametrize("question", ["", "?!", "🎉"])
def test_a_request_of_no_words_files_its_preference_once(question):
    book = grown(turn(BULLETS, question), turn(BULLETS, question))
    assert [entry.text for entry in book.own] == ["The user wants bullet points."]
