"""The store: one process at a time."""

import pytest

from ctxeng.errors import BadPlaybook, DeltaRefused
from ctxeng.playbook.delta import Add, Remove, Tag, Update
from ctxeng.playbook.entry import Provenance
from ctxeng.playbook.store import PlaybookStore
from stored import FILE, entry, whole


def test_opening_a_file_without_a_journal_writes_none(path):
    with PlaybookStore(path) as store:
        assert [each.id for each in store.playbook.own] == ["refund-aaaaa", "order-bbbbb"]
        assert store.playbook.name == "support"
    assert path.read_text() == FILE
    assert not path.with_name("support.journal.jsonl").exists()


def test_deltas_are_journaled_at_once_and_written_to_the_yaml_at_a_commit(path):
    store = PlaybookStore(path)
    applied = store.apply([Update(id="order-bbbbb", text="Ask twice.")], by="ace", why="it failed")
    assert applied.results == ("ok",)
    assert path.read_text() == FILE
    assert whole(PlaybookStore(path).open()) == whole(store.playbook)
    store.commit()
    assert path.read_text() == FILE.replace("Ask for the number.", "Ask twice.")
    store.close()


def test_votes_and_provenance_survive_without_touching_the_yaml(path):
    with PlaybookStore(path) as store:
        store.apply([Tag(id="order-bbbbb", votes={"helpful": 2})], by="ace")
        store.apply([Add(entry=entry("c"), provenance=Provenance(turns=("t1",), trust="user"))], by="ace")
        before = whole(store.playbook)
    assert "helpful" not in path.read_text()
    for cache in (True, False):
        with PlaybookStore(path, cache=cache) as store:
            assert whole(store.playbook) == before


def test_a_batch_that_does_not_apply_leaves_no_trace(path):
    with PlaybookStore(path) as store:
        with pytest.raises(DeltaRefused) as refused:
            store.apply([Tag(id="order-bbbbb", votes={"helpful": 1}), Remove(id="nobody-aaaaa")], by="ace")
        assert refused.value.results == ("ok", "unknown-id")
        assert store.apply([], by="ace").results == ()
        assert store.log() == ()


def test_a_key_that_was_used_applies_nothing_and_tells_what_it_did(path):
    delta = Tag(id="order-bbbbb", votes={"helpful": 1})
    with PlaybookStore(path) as store:
        first = store.apply([delta], by="ace", key="step-1")
        again = store.apply([delta], by="ace", key="step-1")
        assert (again.results, again.inverse) == (first.results, first.inverse)
    for cache in (True, False):
        with PlaybookStore(path, cache=cache) as store:
            store.apply([delta], by="ace", key="step-1")
            assert store.playbook.votes("order-bbbbb") == {"helpful": 1}


def test_two_stores_both_commit_and_the_second_update_of_an_entry_is_a_conflict(path):
    with PlaybookStore(path) as one, PlaybookStore(path) as two:
        base = one.playbook.version
        one.apply([Update(id="order-bbbbb", text="One.", base=base)], by="ace")
        applied = two.apply(
            [
                Update(id="order-bbbbb", text="Two.", base=base),
                Tag(id="order-bbbbb", votes={"helpful": 1}, base=base),
            ],
            by="ace",
        )
        assert applied.results == ("conflict", "ok")
        assert "propose it again" in applied.notes[0]
        assert one.refresh() == two.playbook
        assert two.apply(
            [Update(id="order-bbbbb", text="Two.", base=two.playbook.version)], by="ace"
        ).results == ("ok",)
    assert "Two." in path.read_text()
    with PlaybookStore(path, cache=False) as store:
        assert store.log(limit=2)[1].body.results == ("conflict", "ok")


def test_a_base_is_still_known_after_the_store_was_closed(path):
    with PlaybookStore(path) as store:
        store.apply([Tag(id="order-bbbbb", votes={"helpful": 1})], by="ace")
        base = store.playbook.version
        store.apply([Update(id="order-bbbbb", text="One.", base=base)], by="person:ana")
    for cache in (True, False):
        with PlaybookStore(path, cache=cache) as store:
            late = store.apply([Update(id="order-bbbbb", text="Late.", base=base)], by="ace")
            assert (late.results, late.notes) == (
                ("superseded",),
                ("superseded: a person changed order-bbbbb",),
            )
            unknown = store.apply([Update(id="order-bbbbb", text="Late.", base="f" * 16)], by="ace")
            assert unknown.results == ("conflict",)


def test_a_hand_edit_is_noticed_and_journaled_as_a_persons(path):
    with PlaybookStore(path) as store:
        store.apply([Tag(id="order-bbbbb", votes={"helpful": 1})], by="ace")
    edited = path.read_text().replace("Ask for the number.", "Ask by mail.").replace("# ours", "# ours!")
    path.write_text(edited + "  - text: a lesson without an id\n")
    with PlaybookStore(path) as store:
        assert store.playbook.get("order-bbbbb").text == "Ask by mail."
        assert store.playbook.votes("order-bbbbb") == {"helpful": 1}
        assert store.log(limit=1)[0].body.by == "person:hand-edit"
        assert len(store.playbook) == 3
        store.undo()
        assert store.playbook.get("order-bbbbb").text == "Ask for the number."
    assert path.read_text() == edited.replace("Ask by mail.", "Ask for the number.")


def test_entries_that_were_reordered_by_hand_keep_their_votes(path):
    with PlaybookStore(path) as store:
        store.apply([Tag(id="order-bbbbb", votes={"helpful": 1})], by="ace")
    head, first, second = (
        FILE[: FILE.index("  - id: refund")],
        FILE[FILE.index("  - id: refund") : FILE.index("  - id: order")],
        FILE[FILE.index("  - id: order") :],
    )
    path.write_text(head + second + first)
    with PlaybookStore(path) as store:
        assert [each.id for each in store.playbook.own] == ["order-bbbbb", "refund-aaaaa"]
        assert store.playbook.votes("order-bbbbb") == {"helpful": 1}
    assert path.read_text() == head + second + first


def test_a_hand_edit_beats_what_was_learned_meanwhile(path):
    store = PlaybookStore(path)
    store.apply([Tag(id="order-bbbbb", votes={"helpful": 1})], by="ace")
    store.commit()
    store.apply(
        [Update(id="order-bbbbb", text="Learned."), Update(id="refund-aaaaa", text="Learned too.")], by="ace"
    )
    path.write_text(FILE.replace("Ask for the number.", "By hand."))
    store.close()
    text = path.read_text()
    assert "By hand." in text
    assert "Learned too." in text
    assert "Learned." not in text
    assert PlaybookStore(path, cache=False).open() == PlaybookStore(path).open()


def test_a_broken_hand_edit_is_an_error_and_loses_nothing(path):
    store = PlaybookStore(path)
    store.apply([Update(id="order-bbbbb", text="Learned.")], by="ace")
    path.write_text(FILE + "  - id: [\n")
    with pytest.raises(BadPlaybook, match=r"support.yaml:\d+"):
        store.commit()
    path.write_text(FILE)
    store.close()
    assert "Learned." in path.read_text()
