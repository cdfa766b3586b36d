"""The store: one process at a time."""

import contextlib
import json
import shutil
import subprocess
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxeng.errors import BadInput, BadPlaybook, Conflict, DeltaRefused, UnknownName
from ctxeng.playbook.delta import Add, Merge, Redact, Remove, Tag, Update
from ctxeng.playbook.entry import Entry, Provenance
from ctxeng.playbook.store import PlaybookStore
from ctxeng.playbook.yamlfile import parse

FILE = """\
# ours
ctxeng: 1
playbook: support
entries:
  # refunds
  - id: refund-aaaaa
    text: Offer credit.   # always
  - id: order-bbbbb
    text: Ask for the number.
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "support.yaml"
    path.write_text(FILE)
    return path


def whole(playbook):
    return [(entry, dict(playbook.votes(entry.id)), playbook.provenance(entry.id)) for entry in playbook.own]


def entry(letter, text="A lesson."):
    return Entry(id=f"new-{letter * 5}", text=text)


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


def git(folder, *words):
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main", *words],
        cwd=folder,
        check=True,
        capture_output=True,
    )


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
