"""A store whose files are damaged, missing, extended, branched by git, or written by threads."""

import contextlib
import json
import shutil
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxeng.errors import BadInput, BadPlaybook, DeltaRefused
from ctxeng.playbook.delta import Add, Merge, Remove, Tag, Update
from ctxeng.playbook.entry import Entry
from ctxeng.playbook.store import PlaybookStore
from ctxeng.playbook.yamlfile import parse
from stored import FILE, entry, git, whole


def test_a_torn_last_line_is_reported_and_the_next_record_starts_a_new_one(path):
    with PlaybookStore(path) as store:
        store.apply([Tag(id="order-bbbbb", votes={"helpful": 1})], by="ace")
    journal = path.with_name("support.journal.jsonl")
    with journal.open("ab") as file:
        file.write(b'{"prev":"abc')
    for cache in (True, False):
        with PlaybookStore(path, cache=cache) as store:
            assert "torn" in store.notes[0]
    with PlaybookStore(path) as other, PlaybookStore(path) as store:
        store.apply([Tag(id="order-bbbbb", votes={"helpful": 1})], by="ace")
        assert other.refresh().votes("order-bbbbb") == {"helpful": 2}
    assert journal.read_bytes().count(b'{"prev":"abc\n') == 1
    assert PlaybookStore(path, cache=False).open().votes("order-bbbbb") == {"helpful": 2}


def test_a_damaged_journal_says_where_and_what_to_do(path):
    with PlaybookStore(path) as store:
        for _ in range(3):
            store.apply([Tag(id="order-bbbbb", votes={"helpful": 1})], by="ace")
    journal = path.with_name("support.journal.jsonl")
    journal.write_text(journal.read_text().replace('"helpful":1', '"helpful":9', 1))
    with pytest.raises(BadPlaybook, match=r"support.journal.jsonl:\d+: the journal is damaged.*or delete it"):
        PlaybookStore(path).open()
    journal.unlink()
    assert len(PlaybookStore(path).open()) == 2


@pytest.mark.parametrize("damage", [b"", b"garbage", b"0" * 64 + b"\n{}"])
def test_a_damaged_cache_is_ignored_and_built_anew(path, damage):
    with PlaybookStore(path) as store:
        store.apply([Tag(id="order-bbbbb", votes={"helpful": 1}) for _ in range(1)], by="ace")
        for number in range(120):
            store.apply([Tag(id="order-bbbbb", votes={"helpful": 1})], by="ace", key=f"{number}")
        before = whole(store.playbook)
    cache = path.parent / ".ctxeng" / "support.cache.json"
    assert cache.exists()
    cache.write_bytes(damage)
    with PlaybookStore(path) as store:
        assert whole(store.playbook) == before
    assert len(cache.read_bytes()) > 1000


def test_a_cache_is_used_only_with_its_own_journal(path):
    with PlaybookStore(path) as store:
        for _ in range(120):
            store.apply([Tag(id="order-bbbbb", votes={"helpful": 1})], by="ace")
    saved = path.parent / "saved"
    shutil.copytree(path.parent / ".ctxeng", saved)
    with PlaybookStore(path) as store:
        store.undo(60)
        store.redact("refund-aaaaa", by="person:dpo")
        before = whole(store.playbook)
    shutil.rmtree(path.parent / ".ctxeng")
    shutil.copytree(saved, path.parent / ".ctxeng")
    with PlaybookStore(path) as store:
        assert whole(store.playbook) == before


def test_a_playbook_that_is_not_there_yet_is_written_at_the_first_commit(tmp_path):
    path = tmp_path / "fresh.yaml"
    with PlaybookStore(path) as store:
        assert store.playbook.own == ()
        store.commit()
        assert not path.exists()
        store.apply([Add(entry=entry("a"))], by="ace")
    assert (
        path.read_text() == "ctxeng: 1\nplaybook: fresh\nentries:\n  - id: new-aaaaa\n    text: A lesson.\n"
    )
    path.unlink()
    with PlaybookStore(path) as store:
        assert len(store.playbook) == 1, "a lost file is written anew from the journal, not taken for an edit"


def test_extended_files_give_entries_and_nothing_else(path):
    (path.parent / "house.yaml").write_text(
        "models: {answer: x}\nextends: [./missing.yaml]\nentries:\n- {id: house-aaaaa, text: Be kind.}\n"
    )
    path.write_text(FILE.replace("entries:", "extends: [./house.yaml]\nentries:"))
    with PlaybookStore(path) as store:
        assert [each.id for each in store.playbook.entries] == ["house-aaaaa", "refund-aaaaa", "order-bbbbb"]
        with pytest.raises(DeltaRefused, match="read-only"):
            store.apply([Remove(id="house-aaaaa")], by="person:ana")
        store.apply([Update(id="refund-aaaaa", text="t")], by="ace")
    assert "Be kind" not in path.read_text()
    path.write_text(FILE.replace("entries:", "extends: [./nowhere.yaml]\nentries:"))
    with pytest.raises(BadPlaybook, match=r"nowhere\.yaml"):
        PlaybookStore(path).open()


def test_stats_count(path):
    with PlaybookStore(path) as store:
        store.apply([Tag(id="order-bbbbb", votes={"helpful": 2}), Remove(id="refund-aaaaa")], by="ace")
        stats = store.stats()
    assert (stats.entries, stats.removed, stats.votes, stats.pending) == (1, 1, {"helpful": 2}, 1)
    assert stats.journal_bytes > 0


def test_snapshots_can_be_read_while_a_thread_writes(path):
    with PlaybookStore(path) as store:
        failures = []

        def read():
            while not done.is_set():
                playbook = store.playbook
                if len(playbook.entries) != len(playbook) or any(
                    playbook.votes(each.id) is None for each in playbook.own
                ):
                    failures.append(playbook)

        done = threading.Event()
        threads = [threading.Thread(target=read) for _ in range(3)]
        writers = [
            threading.Thread(
                target=lambda letter=letter: [
                    store.apply([Add(entry=Entry(id=f"{letter}{number}-aaaaa", text="t"))], by="ace")
                    for number in range(50)
                ]
            )
            for letter in "abc"
        ]
        for thread in [*threads, *writers]:
            thread.start()
        for thread in writers:
            thread.join()
        done.set()
        for thread in threads:
            thread.join()
        assert not failures
        assert len(store.playbook) == 152


def test_git_joins_two_branches_of_one_playbook(path):
    folder = path.parent
    git(folder, "init")
    with PlaybookStore(path) as store:
        store.apply([Tag(id="order-bbbbb", votes={"helpful": 1})], by="ace")
    assert "merge=union" in (folder / ".gitattributes").read_text()
    git(folder, "add", ".")
    git(folder, "commit", "-m", "base")
    git(folder, "checkout", "-b", "other")
    with PlaybookStore(path) as store:
        store.apply([Add(entry=entry("b", "Theirs."), after="")], by="ace")
        store.apply([Tag(id="order-bbbbb", votes={"helpful": 4})], by="ace")
    git(folder, "commit", "-am", "theirs")
    git(folder, "checkout", "main")
    with PlaybookStore(path) as store:
        store.apply([Tag(id="order-bbbbb", votes={"helpful": 2})], by="ace")
        store.apply([Update(id="order-bbbbb", text="Ours.")], by="ace")
    git(folder, "commit", "-am", "ours")
    git(folder, "merge", "other", "-m", "joined")
    with PlaybookStore(path) as store:
        assert [each.text for each in store.playbook.own] == ["Theirs.", "Offer credit.", "Ours."]
        assert store.playbook.votes("order-bbbbb") == {"helpful": 7}
        store.apply([Tag(id="order-bbbbb", votes={"helpful": 1})], by="ace")
        before = whole(store.playbook)
    for cache in (True, False):
        with PlaybookStore(path, cache=cache) as store:
            assert whole(store.playbook) == before
            assert store.notes == ()
    lines = path.with_name("support.journal.jsonl").read_text().splitlines()
    assert sum("also" in json.loads(line) for line in lines) == 1


def test_two_branches_that_changed_the_same_words_keep_one_and_say_so(path):
    with PlaybookStore(path) as store:
        store.apply([Tag(id="order-bbbbb", votes={"helpful": 1})], by="ace")
    journal = path.with_name("support.journal.jsonl")
    stem, start = journal.read_text(), path.read_text()
    tails = []
    for text in ("Ours.", "Theirs."):
        journal.write_text(stem)
        path.write_text(start)
        with PlaybookStore(path, cache=False) as store:
            store.apply([Update(id="order-bbbbb", text=text)], by="ace")
            store.apply([Update(id="order-bbbbb", text=text + " Really.")], by="ace")
        tails.append(journal.read_text()[len(stem) :])
    texts = set()
    for order in (tails, tails[::-1]):
        journal.write_text(stem + "".join(order))
        store = PlaybookStore(path, cache=False)
        path.unlink(missing_ok=True)
        texts.add(store.open().get("order-bbbbb").text)
        assert any("left out" in note for note in store.notes)
    assert len(texts) == 1
    assert texts.pop() in {"Ours. Really.", "Theirs. Really."}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "update", "remove", "tag", "merge", "undo", "commit", "reopen"]),
        st.integers(0, 9),
    ),
    max_size=14,
)


def step(store, number, what, which):
    names = [each.id for each in store.playbook.own]
    match what:
        case "add":
            new = Entry(id=f"n{number}-aaaaa", text=f"text {number}\nmore")
            store.apply([Add(entry=new, after=names[which % len(names)] if names else None)], by="ace")
        case "update" if names:
            store.apply([Update(id=names[which % len(names)], text=f"new {number}")], by="ace")
        case "remove" if names:
            store.apply([Remove(id=names[which % len(names)])], by="ace")
        case "tag" if names:
            store.apply([Tag(id=names[which % len(names)], votes={"helpful": 1})], by="ace")
        case "merge" if len(names) > 1:
            store.apply([Merge(ids=(names[0], names[-1]), into=names[-1])], by="ace")
        case "undo":
            with contextlib.suppress(BadInput):
                store.undo()
        case "commit":
            store.commit()
        case "reopen":
            store.close()


@given(STEPS)
def test_whatever_is_done_a_fresh_store_finds_the_same(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("p") / "support.yaml"
    path.write_text(FILE)
    store = PlaybookStore(path)
    for number, (what, which) in enumerate(steps):
        step(store, number, what, which)
        if what in {"commit", "reopen"}:
            assert parse(path.read_text()).entries == store.playbook.own
    expected = whole(store.playbook)
    assert whole(PlaybookStore(path, cache=False).open()) == expected
    store.close()
    assert whole(PlaybookStore(path).open()) == expected
    assert parse(path.read_text()).entries == tuple(each for each, _, _ in expected)
