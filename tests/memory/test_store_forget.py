"""Forgetting: what was said is in no file and no table any more, and others keep all of theirs."""

import random
import sqlite3
from datetime import UTC, datetime

import pytest

from ctxeng.errors import BadInput, Conflict
from ctxeng.memory.record import Record, Shortened, Summarised
from ctxeng.memory.store import SqlStore
from ctxeng.memory.store_remove import NotErased
from ctxeng.memory.stored import Fact
from ctxeng.message import Call, Message, Opaque, Result, user
from ctxeng.storage.sql import open_database
from ctxeng.turn import Scope

pytest_plugins = ("postgres",)

MARK = "xyzzy-marker"
ANN = Scope(tenant="t", user=f"ann-{MARK}", session=f"s-{MARK}")
LATER = ANN.model_copy(update={"session": "later"})
BOB = Scope(tenant="t", user="bob", session="s")


@pytest.fixture
def store(database_url):
    opened = SqlStore(open_database(database_url))
    yield opened
    opened.close()


@pytest.fixture
def kept(tmp_path):
    """A store in a file."""
    opened = SqlStore(open_database("sqlite:./kept.db", tmp_path))
    yield opened
    opened.close()


def record(number, text, key=""):
    return Record(number=number, message=user(text), key=key)


def fill(store):
    call = Call(id="c", name="n", arguments={"deep": [{"in": f"{MARK} argument"}]})
    said = Message(
        role="assistant", parts=(call, Opaque(provider="p", payload={"thought": f"{MARK} thought"}))
    )
    answer = Message(role="tool", parts=(Result(call_id="c", text=f"{MARK} result " + "long " * 3_000),))
    records = [
        record(1, f"{MARK} one", key=f"{MARK}-key"),
        Record(number=2, message=said),
        Record(number=3, message=answer, time=f"{MARK}-time"),
    ]
    edits = [Summarised(upto=1, text=f"{MARK} summary"), Shortened(number=3, text=f"{MARK} short")]
    store.write(ANN, records, edits, 0)
    store.write(LATER, [record(1, f"{MARK} later")], (), 0)
    store.note(ANN, [Fact(subject=f"{MARK} subject", value=f"{MARK} fact", source=f"{ANN.session}:m1")])
    store.note(ANN, [Fact(subject="ann", value=f"{MARK} of later", source="later:m1")])
    store.write(BOB, [record(1, "bob's own")], [Summarised(upto=0, text="bob's sum")], 0)
    store.note(BOB, [Fact(subject="bob", value="bob's fact")])


def tables(store):
    """Everything that queries find, as one text."""

    def work(run):
        if not store.database.alone:
            names = run("SELECT name FROM sqlite_master WHERE type = 'table'")
        else:
            names = run("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        assert len(names) >= 5
        return repr([run(f'SELECT * FROM "{name}"') for (name,) in names])

    return store.database.attempt(work, write=False)


def files(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_user_is_forgotten_and_others_keep_all(store):
    fill(store)
    bob = store.load(BOB), store.facts(BOB), store.arrived(BOB)
    assert MARK in tables(store)
    forgotten = store.forget(Scope(user=ANN.user))
    assert (forgotten.sessions, forgotten.records, forgotten.edits, forgotten.facts) == (2, 4, 2, 2)
    wanted = ("one", "argument", "thought", "summary", "short", "later", "fact", "of later")
    assert {f"{MARK} {word}" for word in wanted} <= set(forgotten.texts)
    assert any(text.startswith(f"{MARK} result") for text in forgotten.texts)
    assert len(forgotten.texts) == len(set(forgotten.texts))
    assert not any("bob" in text for text in forgotten.texts)
    assert MARK not in tables(store)
    assert (store.load(BOB), store.facts(BOB), store.arrived(BOB)) == bob
    assert (store.load(ANN).version, store.arrived(ANN), store.facts(ANN)) == (0, [], [])
    assert store.forget(Scope(user=ANN.user)).sessions == 0


def test_a_session_is_forgotten_with_the_facts_it_was_source_of(store):
    fill(store)
    forgotten = store.forget(ANN)
    assert (forgotten.sessions, forgotten.records, forgotten.facts) == (1, 3, 1)
    assert [fact.value for fact in store.facts(ANN)] == [f"{MARK} of later"]
    assert [info.scope for info in store.sessions(Scope(user=ANN.user))] == [LATER]


def test_a_filter_without_a_field_is_refused(store):
    fill(store)
    with pytest.raises(BadInput, match="a filter needs a field"):
        store.forget(Scope())
    assert len(store.sessions(Scope())) == 3


def test_the_generation_of_those_who_lost_something_grows_and_of_no_other(store):
    fill(store)
    before = store.generation(ANN), store.generation(BOB)
    store.forget(LATER)
    assert store.generation(ANN) > before[0]
    assert store.generation(BOB) == before[1]
    again = store.generation(ANN)
    store.forget(Scope(tenant="nobody"))
    assert store.generation(ANN) == again


def test_rows_and_versions_of_what_was_forgotten_are_never_used_again(store):
    version = store.write(ANN, [record(1, "a")], (), 0)
    rows = [each.row for each in store.arrived(ANN)]
    store.forget(ANN)
    with pytest.raises(Conflict):
        store.write(ANN, [record(2, "b")], (), version)
    assert store.write(ANN, [record(1, "c")], (), 0) > version
    with pytest.raises(Conflict):
        store.write(ANN, [record(2, "b")], (), version)
    assert store.arrived(ANN)[0].row > rows[-1]


def test_sessions_expire_by_when_they_were_written_to(database_url):
    time = [datetime(2026, 1, 1, tzinfo=UTC)]
    store = SqlStore(open_database(database_url), lambda: time[0])
    fill(store)
    time[0] = datetime(2026, 1, 3, tzinfo=UTC)
    store.write(LATER, [record(2, "new")], (), store.load(LATER).version)
    assert store.expire("2026-01-01").sessions == 0
    assert store.expire("2026-01-01T01:00:00+02:00").sessions == 0
    forgotten = store.expire("2026-01-02T00:00:00Z")
    assert (forgotten.sessions, forgotten.records, forgotten.facts) == (2, 4, 1)
    assert [info.scope for info in store.sessions(Scope())] == [LATER]
    assert [fact.value for fact in store.facts(ANN)] == [f"{MARK} of later"]
    with pytest.raises(BadInput, match="'yesterday' is no time"):
        store.expire("yesterday")
    store.close()


def test_the_bytes_of_what_was_forgotten_are_in_no_file(kept, tmp_path):
    fill(kept)
    assert MARK.encode() in files(tmp_path)
    kept.forget(Scope(user=ANN.user))
    assert MARK.encode() not in files(tmp_path)
    assert b"bob's own" in files(tmp_path)


@pytest.mark.parametrize("seed", range(6))
def test_no_bytes_stay_after_pages_were_split_and_filled_again(kept, tmp_path, seed):
    draw = random.Random(seed)
    scopes = [Scope(tenant="t", user=f"u{i % 3}", session=f"s{i}") for i in range(9)]
    for round_ in range(40):
        scope = draw.choice(scopes)
        held = kept.load(scope)
        fresh = [
            record(
                len(held.records) + place,
                f"<{scope.session}> " + "w" * draw.choice([10, 300, 2_000, 9_000]),
                key,
            )
            for place in range(1, draw.randint(2, 25))
            for key in [f"<{scope.session}>{draw.random()}"]
        ]
        kept.write(scope, fresh, [Summarised(upto=0, text=f"<{scope.session}>")], held.version)
        if round_ % 4 == 3:
            gone = draw.choice(scopes)
            kept.forget(gone)
            assert f"<{gone.session}>".encode() not in files(tmp_path)
    for scope in scopes:
        kept.forget(scope)
        assert f"<{scope.session}>".encode() not in files(tmp_path)


def test_other_processes_see_what_was_forgotten(kept, tmp_path):
    fill(kept)
    other = SqlStore(open_database("sqlite:./kept.db", tmp_path))
    before = other.generation(ANN)
    kept.forget(ANN)
    assert other.generation(ANN) > before
    assert other.load(ANN).records == ()
    other.close()
    again = SqlStore(open_database("sqlite:./kept.db", tmp_path))
    assert again.generation(ANN) == kept.generation(ANN)
    again.close()


def test_a_reader_that_keeps_the_log_open_is_told_and_the_texts_are_not_lost(tmp_path):
    store = SqlStore(open_database("sqlite:./kept.db", tmp_path, patience=0.2))
    fill(store)
    reader = sqlite3.connect(tmp_path / "kept.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM memory_records").fetchone()
    with pytest.raises(NotErased, match="forget the same scope again") as caught:
        store.forget(Scope(user=ANN.user))
    assert f"{MARK} one" in caught.value.forgotten.texts
    assert MARK.encode() in files(tmp_path)
    reader.close()
    assert store.forget(Scope(user=ANN.user)).sessions == 0
    assert MARK.encode() not in files(tmp_path)
    store.close()
