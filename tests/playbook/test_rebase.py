"""Deltas proposed against an older version."""

import pytest

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.delta import Add, Merge, Remove, Tag, Update
from ctxeng.playbook.entry import Entry
from ctxeng.playbook.rebase import Touch, rebase

ONE, TWO, THREE = (Entry(id=f"x-{letter * 5}", text=letter) for letter in "abc")
BOOK = Playbook.of([ONE, TWO, THREE])
OLD = "0123456789abcdef"


def outcome(delta, touch=None, current=BOOK, by=""):
    """ "apply", or what became of the delta otherwise."""
    rebased = rebase([delta.model_copy(update={"base": OLD})], current, lambda base, name: touch, by)
    assert len(rebased.apply) + len(rebased.superseded) + len(rebased.conflicts) == 1
    return rebased.codes[0] if rebased.codes != ("ok",) else "apply"


LEARNED, PERSONS = Touch("update"), Touch("update", by_person=True)
UPDATE, REMOVE = Update(id="x-aaaaa", text="new"), Remove(id="x-aaaaa")
MERGE, TAG = Merge(ids=("x-aaaaa", "x-bbbbb"), into="x-bbbbb"), Tag(id="x-aaaaa", votes={"helpful": 1})
PERSON = "person:ana"


@pytest.mark.parametrize(
    ("delta", "touch", "by", "expected"),
    [
        (UPDATE, None, "", "apply"),
        (UPDATE, LEARNED, "", "conflict"),
        (UPDATE, PERSONS, "", "superseded"),
        (UPDATE, LEARNED, PERSON, "apply"),
        (UPDATE, PERSONS, PERSON, "conflict"),
        (REMOVE, LEARNED, "", "apply"),
        (REMOVE, PERSONS, "", "superseded"),
        (REMOVE, PERSONS, PERSON, "apply"),
        (TAG, LEARNED, "", "apply"),
        (TAG, PERSONS, "", "apply"),
        (MERGE, None, "", "apply"),
        (MERGE, LEARNED, "", "conflict"),
        (MERGE, PERSONS, "", "superseded"),
        (MERGE, LEARNED, PERSON, "apply"),
        (Update(id="x-aaaaa", text="a"), LEARNED, "", "superseded"),
        (UPDATE, Touch("unknown"), "", "conflict"),
        (REMOVE, Touch("unknown"), "", "conflict"),
        (MERGE, Touch("unknown"), "", "conflict"),
        (TAG, Touch("unknown"), "", "apply"),
    ],
)
def test_who_wins(delta, touch, by, expected):
    assert outcome(delta, touch, by=by) == expected


WITHOUT = BOOK.apply([REMOVE]).playbook


def test_what_comes_too_late_for_a_removed_entry_is_superseded():
    gone = Touch("remove")
    assert outcome(UPDATE, gone, WITHOUT) == "superseded"
    assert outcome(REMOVE, gone, WITHOUT) == "superseded"
    assert outcome(TAG, gone, WITHOUT) == "superseded"
    assert outcome(MERGE, gone, WITHOUT) == "conflict"


def test_a_persons_update_brings_back_what_a_learner_removed():
    rebased = rebase([UPDATE.model_copy(update={"base": OLD})], WITHOUT, lambda *_: Touch("remove"), PERSON)
    after = WITHOUT.apply(rebased.apply).playbook
    assert [entry.text for entry in after.own] == ["new", "b", "c"]
    assert outcome(UPDATE, Touch("remove", by_person=True), WITHOUT, PERSON) == "superseded"


def test_votes_for_a_merged_entry_go_where_it_went():
    merged = BOOK.apply([MERGE]).playbook
    touch = {"x-aaaaa": Touch("merge", into="x-bbbbb"), "x-bbbbb": Touch("merge")}
    rebased = rebase([TAG.model_copy(update={"base": OLD})], merged, lambda base, name: touch.get(name))
    assert merged.apply(rebased.apply).playbook.votes("x-bbbbb") == {"helpful": 1}


def test_an_addition_finds_another_place_where_its_neighbour_is_gone():
    add = Add(entry=Entry(id="y-aaaaa", text="y"), after="x-aaaaa", base=OLD)
    rebased = rebase([add], WITHOUT, lambda *_: None)
    assert WITHOUT.apply(rebased.apply).playbook.own[-1].id == "y-aaaaa"


def test_an_addition_of_what_is_there_is_settled_and_of_something_else_a_conflict():
    assert outcome(Add(entry=ONE)) == "superseded"
    assert outcome(Add(entry=Entry(id="x-aaaaa", text="else"))) == "conflict"


def test_what_builds_on_a_lost_addition_is_lost_with_it():
    deltas = [
        Add(entry=Entry(id="x-aaaaa", text="else"), base=OLD),
        Tag(id="x-aaaaa", votes={"helpful": 1}, base=OLD),
    ]
    assert rebase(deltas, BOOK, lambda *_: None).codes == ("conflict", "conflict")


def test_what_it_outdoes_is_reported():
    rebased = rebase([REMOVE.model_copy(update={"base": OLD})], BOOK, lambda *_: LEARNED)
    assert rebased.notes == ("superseded: an earlier change of x-aaaaa, by this remove",)


def test_without_a_base_or_on_the_current_version_nothing_is_asked():
    deltas = (UPDATE, REMOVE.model_copy(update={"base": BOOK.version}))
    assert rebase(deltas, BOOK, lambda *_: pytest.fail("asked")).apply == deltas
