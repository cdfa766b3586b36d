"""Near-duplicates are merged by code, what differs in substance is kept, budgets are enforced."""

import numpy as np
import pytest

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.delta import Add, Tag
from ctxeng.playbook.entry import Entry, Provenance
from ctxeng.playbook.refine import EntryBudget, Refiner, keep_apart

LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


def entry(number, text, **fields):
    return Entry(id=f"rules-aaa{LETTERS[number // 32]}{LETTERS[number % 32]}", text=text, **fields)


def book(*entries):
    return Playbook.of(entries)


def vectors_of(mapping):
    def embed(texts):
        rows = np.array([mapping[text.strip()] for text in texts], dtype=np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    return embed


def test_the_same_text_up_to_case_and_punctuation_is_merged_without_a_model():
    playbook = book(entry(0, "Check the date."), entry(1, "check the  DATE"), entry(2, "Check the time."))
    (merge,) = Refiner().propose(playbook)
    assert set(merge.ids) == {playbook.own[0].id, playbook.own[1].id}
    assert len(playbook.apply([merge]).playbook) == 2


def test_similar_texts_form_one_group_and_no_entry_is_in_two():
    embed = vectors_of({"a": (1, 0, 0), "b": (0.95, 0.31, 0), "c": (0.81, 0.59, 0), "d": (0, 0, 1)})
    entries = [entry(i, text) for i, text in enumerate("abcd")]
    assert Refiner(embed, threshold=0.9).groups(entries) == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("first", "second"),
    [("wait 30 days", "wait 60 days"), ("refund the fee", "do not refund the fee")],
)
def test_texts_that_differ_in_a_number_or_a_negation_are_never_merged(first, second):
    embed = vectors_of({first: (1, 0), second: (1, 0.01)})
    assert Refiner(embed).groups([entry(0, first), entry(1, second)]) == []


def test_exemplars_with_other_meanings_are_never_merged():
    embed = vectors_of({"cue one\nA": (1, 0), "cue one!\nB": (1, 0.01), "cue two\nA": (1, 0.02)})
    entries = [
        entry(0, "A", when="cue one", kind="exemplar"),
        entry(1, "B", when="cue one!", kind="exemplar"),
        entry(2, "A", when="cue two", kind="exemplar"),
    ]
    assert Refiner(embed).groups(entries) == [[0, 2]]


def test_the_most_helpful_entry_keeps_its_id_and_the_votes_add_up():
    playbook = book(entry(0, "Check it"), entry(1, "check it!"))
    first, second = (each.id for each in playbook.own)
    playbook = playbook.apply(
        [Tag(id=first, votes={"helpful": 1}), Tag(id=second, votes={"helpful": 2})]
    ).playbook
    merged = playbook.apply(Refiner().propose(playbook)).playbook
    assert [each.id for each in merged.own] == [second]
    assert merged.votes(second)["helpful"] == 3


def test_pairs_that_somebody_keeps_apart_stay_apart():
    playbook = book(entry(0, "Check it"), entry(1, "check it!"))
    apart = keep_apart(*(each.id for each in playbook.own), by="person:ann")
    assert Refiner().propose(playbook.apply(apart).playbook) == []


def test_the_budget_evicts_by_status_then_votes_then_age_and_never_what_is_frozen():
    playbook = book(
        entry(0, "frozen", status="frozen"),
        entry(1, "old"),
        entry(2, "harmful"),
        entry(3, "candidate", status="candidate"),
        entry(4, "retired", status="retired"),
        entry(5, "helpful"),
    )
    ids = [each.id for each in playbook.own]
    playbook = playbook.apply(
        [Tag(id=ids[2], votes={"harmful": 1}), Tag(id=ids[5], votes={"helpful": 1})]
    ).playbook
    gone = [delta.id for delta in EntryBudget(entries=1).evictions(playbook, len)]
    assert gone == [ids[4], ids[3], ids[2], ids[1], ids[5]]


def test_a_token_budget_is_enforced_by_counting():
    playbook = book(*(entry(i, f"text {LETTERS[i]} " + "x" * 90) for i in range(5)))
    removals = EntryBudget(entries=None, tokens=250).evictions(playbook, len)
    assert len(playbook.apply(removals).playbook) == 2
    assert EntryBudget(entries=None, tokens=10_000).evictions(playbook, len) == []


def test_what_a_person_wrote_outlives_what_was_learned_among_equals():
    playbook = book(entry(0, "written by hand"))
    learned = Add(entry=entry(1, "learned"), provenance=Provenance(strategy="ace"))
    playbook = playbook.apply([learned]).playbook
    (gone,) = EntryBudget(entries=1).evictions(playbook, len)
    assert gone.id == entry(1, "learned").id
