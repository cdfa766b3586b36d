"""Differences between playbooks."""

from hypothesis import given
from hypothesis import strategies as st

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.delta import Remove, Tag
from ctxeng.playbook.diff import diff, edits, text_diff
from ctxeng.playbook.entry import Entry

ONE, TWO, THREE, FOUR = (Entry(id=f"x-{letter * 5}", text=f"lesson {letter}") for letter in "abcd")


def test_each_kind_of_change_is_told():
    old = Playbook.of([ONE, TWO, THREE])
    changed = TWO.model_copy(update={"text": "changed", "when": "now"})
    new = Playbook.of([THREE, changed, FOUR])
    told = {change.id: change for change in diff(old, new)}
    assert {name: change.what for name, change in told.items()} == {
        "x-aaaaa": "removed",
        "x-ccccc": "moved",
        "x-bbbbb": "changed",
        "x-ddddd": "added",
    }
    assert told["x-bbbbb"].fields == ("when", "text")
    assert diff(old, old) == []


def test_the_text_is_a_unified_diff_of_yaml():
    old, new = Playbook.of([ONE], "p"), Playbook.of([ONE.model_copy(update={"text": "else"})], "p")
    text = text_diff(old, new)
    assert text.startswith(f"--- p@{old.version}\n+++ p@{new.version}\n")
    assert "-  text: lesson a\n+  text: else\n" in text
    assert text_diff(old, old) == ""


PICKS = st.lists(
    st.tuples(st.integers(0, 7), st.sampled_from(["same", "other"])), unique_by=lambda pick: pick[0]
)


@given(PICKS, PICKS)
def test_edits_lead_from_one_list_to_any_other_and_votes_stay(first, second):
    def listed(picks):
        return [Entry(id=f"x-{'abcdefgh'[number] * 5}", text=text) for number, text in picks]

    old = Playbook.of(listed(first))
    old = old.apply([Tag(id=entry.id, votes={"helpful": 1}) for entry in old.own]).playbook
    applied = old.apply(edits(old, listed(second), "person:x"))
    assert applied.playbook.own == tuple(listed(second))
    for entry in applied.playbook.own:
        if entry.id in old:
            assert applied.playbook.votes(entry.id) == {"helpful": 1}
    assert applied.playbook.apply(applied.inverse).playbook == old


def test_an_entry_put_back_by_hand_may_have_its_old_id():
    gone = Playbook.of([ONE, TWO]).apply([Remove(id="x-aaaaa")]).playbook
    assert gone.apply(edits(gone, [ONE, TWO], "person:x")).playbook.own == (ONE, TWO)
