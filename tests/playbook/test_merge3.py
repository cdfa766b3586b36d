"""Three-way merges."""

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.delta import Add, Remove, Tag, Update
from ctxeng.playbook.entry import Entry
from ctxeng.playbook.merge3 import merge

ONE, TWO, THREE = (Entry(id=f"x-{letter * 5}", text=letter) for letter in "abc")
BASE = Playbook.of([ONE, TWO, THREE]).apply([Tag(id="x-aaaaa", votes={"helpful": 1})]).playbook


def side(*deltas):
    return BASE.apply(deltas).playbook


def test_what_one_side_did_is_taken():
    a = side(Update(id="x-aaaaa", text="new"), Remove(id="x-bbbbb"))
    b = side(
        Add(entry=Entry(id="y-aaaaa", text="y"), after="x-aaaaa"), Update(id="x-ccccc", status="retired")
    )
    for merged in (merge(BASE, a, b), merge(BASE, b, a)):
        assert merged.conflicts == ()
        assert [entry.text for entry in merged.playbook.own] == ["new", "y", "c"]
        assert merged.playbook.get("x-ccccc").status == "retired"
        assert merged.playbook.taken("x-bbbbb")


def test_different_fields_of_one_entry_are_put_together():
    merged = merge(BASE, side(Update(id="x-aaaaa", text="new")), side(Update(id="x-aaaaa", status="retired")))
    assert merged.conflicts == ()
    assert (merged.playbook.own[0].text, merged.playbook.own[0].status) == ("new", "retired")


def test_votes_of_both_sides_add_up():
    merged = merge(
        BASE,
        side(Tag(id="x-aaaaa", votes={"helpful": 2})),
        side(Tag(id="x-aaaaa", votes={"helpful": 3, "harmful": 1})),
    )
    assert merged.playbook.votes("x-aaaaa") == {"helpful": 6, "harmful": 1}


def test_what_both_changed_is_a_conflict_and_nothing_is_lost():
    a, b = side(Update(id="x-aaaaa", text="mine")), side(Update(id="x-aaaaa", text="yours"))
    [conflict] = merge(BASE, a, b).conflicts
    assert (conflict.base.text, conflict.a.text, conflict.b.text, conflict.kept.text) == (
        "a",
        "mine",
        "yours",
        "mine",
    )
    assert conflict.why == "both sides changed its text"


def test_half_of_a_statement_on_each_side_is_a_conflict():
    merged = merge(BASE, side(Update(id="x-aaaaa", text="mine")), side(Update(id="x-aaaaa", when="yours")))
    assert [conflict.id for conflict in merged.conflicts] == ["x-aaaaa"]


def test_removed_here_and_changed_there_is_a_conflict_that_keeps_the_entry():
    for a, b in (
        (side(Remove(id="x-aaaaa")), side(Update(id="x-aaaaa", text="new"))),
        (side(Update(id="x-aaaaa", text="new")), side(Remove(id="x-aaaaa"))),
    ):
        merged = merge(BASE, a, b)
        assert merged.playbook.get("x-aaaaa").text == "new"
        assert merged.conflicts[0].why == "removed on one side, changed on the other"
        assert merged.playbook.votes("x-aaaaa") == {"helpful": 1}


def test_the_same_change_on_both_sides_is_none():
    both = side(
        Update(id="x-aaaaa", text="new"), Remove(id="x-bbbbb"), Add(entry=Entry(id="y-aaaaa", text="y"))
    )
    merged = merge(BASE, both, both)
    assert merged.conflicts == ()
    assert merged.playbook.own == both.own


def test_added_on_both_sides_and_not_alike_is_a_conflict():
    a, b = (side(Add(entry=Entry(id="y-aaaaa", text=text))) for text in ("one", "two"))
    assert merge(BASE, a, b).conflicts[0].why == "added on both sides, not alike"
