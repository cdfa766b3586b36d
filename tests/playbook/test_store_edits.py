"""Undo, rollback, redaction and the log of a store."""

import pytest

from ctxeng.errors import BadInput, Conflict, DeltaRefused, UnknownName
from ctxeng.playbook.delta import Add, Merge, Redact, Remove, Tag, Update
from ctxeng.playbook.store import PlaybookStore
from ctxeng.playbook.yamlfile import parse
from stored import FILE, entry, whole


def test_undo_goes_one_more_step_each_time_and_leaves_what_the_file_held(path):
    with PlaybookStore(path) as store:
        states = [whole(store.playbook)]
        for number in range(4):
            store.apply(
                [Add(entry=entry("abcd"[number])), Tag(id="order-bbbbb", votes={"helpful": 1})], by="ace"
            )
            states.append(whole(store.playbook))
        store.undo()
        assert whole(store.playbook) == states[3]
        store.undo(2)
        assert whole(store.playbook) == states[1]
        store.undo()
        assert whole(store.playbook) == states[0]
        with pytest.raises(BadInput, match="0 can be undone"):
            store.undo()
    assert path.read_text() == FILE


def test_rollback_restores_a_version_exactly_and_can_be_undone(path):
    with PlaybookStore(path) as store:
        store.apply([Tag(id="order-bbbbb", votes={"helpful": 3}), Add(entry=entry("a"), after="")], by="ace")
        version, before = store.playbook.version, whole(store.playbook)
        store.commit()
        text = path.read_text()
        store.apply([Merge(ids=("refund-aaaaa", "order-bbbbb"), into="order-bbbbb", text="Both.")], by="ace")
        store.apply([Remove(id="new-aaaaa"), Add(entry=entry("b"))], by="ace")
        after = whole(store.playbook)
        assert whole(store.state_at(version)) == before
        store.rollback(version)
        assert whole(store.playbook) == before
        store.commit()
        assert parse(path.read_text()).entries == parse(text).entries
        store.undo()
        assert whole(store.playbook) == after
        with pytest.raises(UnknownName, match="version"):
            store.rollback("0123456789abcdef")


def test_the_log_tells_of_one_entry_newest_first(path):
    with PlaybookStore(path) as store:
        store.apply([Update(id="order-bbbbb", text="One.")], by="ace", why="first")
        store.apply([Tag(id="refund-aaaaa", votes={"helpful": 1})], by="ace", why="other")
        store.apply([Merge(ids=("order-bbbbb", "refund-aaaaa"), into="order-bbbbb")], by="ace", why="last")
        assert [each.body.why for each in store.log("order-bbbbb")][:2] == ["last", "first"]
        assert [each.body.why for each in store.log(limit=2)] == ["last", "other"]


def test_a_redaction_leaves_the_text_in_no_file_and_is_a_wall_for_undo(path):
    path.write_text(FILE + "  # Ana Maria Lopez said so\n")
    with PlaybookStore(path) as store:
        store.apply([Add(entry=entry("c", "Ana Maria Lopez likes\nmail."))], by="ace", why="Ana Maria Lopez")
        store.apply([Update(id="new-ccccc", when="Ana Maria Lopez calls")], by="ace", key="k1")
        store.apply([Tag(id="order-bbbbb", votes={"helpful": 1})], by="ace")
        store.apply([Remove(id="new-ccccc")], by="ace")
        store.undo()
        places = store.redact(pattern="Ana Maria Lopez", by="person:dpo", why="Ana Maria Lopez asked")
        assert any(place.startswith("support.yaml") for place in places)
        assert any(place.startswith("support.journal.jsonl") for place in places)
        assert store.playbook.get("new-ccccc").text == "[redacted] likes\nmail."
        assert store.playbook.votes("order-bbbbb") == {"helpful": 1}
        with pytest.raises(Conflict, match="redaction"):
            store.undo(2)
        store.apply([Update(id="order-bbbbb", text="Later.")], by="ace")
        store.undo()
        now = whole(store.playbook)
    for file in path.parent.rglob("*"):
        assert not file.is_file() or "Ana" not in file.read_text()
    for cache in (True, False):
        with PlaybookStore(path, cache=cache) as store:
            assert whole(store.playbook) == now
            assert store.apply([Remove(id="new-ccccc")], by="ace", key="k1").results == ("ok",)
            assert "new-ccccc" in store.playbook


def test_an_entrys_redaction_takes_all_it_ever_said(path):
    with PlaybookStore(path) as store:
        store.apply([Update(id="order-bbbbb", text="The second secret.")], by="ace")
        store.apply(
            [Update(id="order-bbbbb", text="The third secret.")], by="ace", why="because: The second secret."
        )
        store.redact("order-bbbbb", by="person:dpo")
        assert store.playbook.get("order-bbbbb").text == "[redacted]"
        assert store.playbook.get("refund-aaaaa").text == "Offer credit."
    for file in path.parent.rglob("*"):
        text = file.read_text() if file.is_file() else ""
        assert "secret" not in text
        assert "Ask for the number" not in text
    with PlaybookStore(path, cache=False) as store:
        assert store.playbook.get("order-bbbbb").text == "[redacted]"


def test_a_redaction_without_a_journal_begins_one_that_never_had_the_text(path):
    with PlaybookStore(path) as store:
        store.redact("refund-aaaaa", by="person:dpo")
        with pytest.raises(DeltaRefused, match="use-redact"):
            store.apply([Redact(id="refund-aaaaa")], by="ace")
    for file in path.parent.rglob("*"):
        assert not file.is_file() or "credit" not in file.read_text()


def test_what_a_redaction_cannot_reach_is_said(path):
    path.write_text(FILE.replace("playbook: support", "playbook: support-ana"))
    with PlaybookStore(path) as store:
        assert store.redact(pattern="ana", by="person:dpo") == (
            "support.yaml:3: still there, outside the entries",
        )
