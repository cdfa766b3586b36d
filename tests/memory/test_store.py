"""What every memory store keeps, on every database: versions, walls, listings, facts."""

import json
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctxeng.errors import BadInput, Conflict
from ctxeng.memory.memory import Memory
from ctxeng.memory.record import Cleared, Pruned, Record, Restored, Shortened, Summarised
from ctxeng.memory.store import SqlStore
from ctxeng.memory.store_schema import NAME, STEPS
from ctxeng.memory.stored import Fact, SessionInfo
from ctxeng.message import Call, Image, Message, Opaque, Result, Text, user
from ctxeng.storage.sql import migrate, open_database
from ctxeng.turn import Scope

pytest_plugins = ("postgres",)

ANN = Scope(tenant="t", user="ann", session="s1")
BOB = Scope(tenant="t", user="bob", session="s1")
EDITS = (
    Summarised(upto=1, text="what was \0 said", kept=(1,), made=2, time="2026-01-01T00:00:00+00:00"),
    Cleared(numbers=(1, 2), inputs=True),
    Shortened(number=1, text="short"),
    Pruned(numbers=(1,), text="instead"),
    Restored(numbers=(1,)),
)


class Clock:
    """A time that moves a minute each time it is asked for."""

    def __init__(self):
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self):
        self.time += timedelta(minutes=1)
        return self.time


@pytest.fixture
def store(database_url):
    opened = SqlStore(open_database(database_url), Clock())
    yield opened
    opened.close()


def record(number, text="hello", key="", time=""):
    return Record(number=number, message=user(text), key=key, time=time)


def test_an_unknown_session_is_empty(store):
    held = store.load(ANN)
    assert (held.records, held.edits, held.version) == ((), (), 0)
    assert (store.sessions(Scope()), store.arrived(ANN), store.facts(ANN), store.generation(ANN)) == (
        [],
        [],
        [],
        0,
    )


def test_what_is_written_is_loaded_in_order(store):
    version = store.write(ANN, [record(1), record(2, key="k")], EDITS[:2], 0)
    last = store.write(ANN, [record(3)], EDITS[2:], version)
    held = store.load(ANN)
    assert held.records == (record(1), record(2, key="k"), record(3))
    assert held.edits == EDITS
    assert held.version == store.version(ANN) == last > version > 0
    assert store.version(BOB) == 0


def test_a_write_at_another_version_is_a_conflict_and_changes_nothing(store):
    version = store.write(ANN, [record(1)], (), 0)
    for wrong in (0, version - 1, version + 1, 10**30):
        with pytest.raises(Conflict, match=f"session 's1' is at version {version}, not {wrong}"):
            store.write(ANN, [record(2)], EDITS[:1], wrong)
    assert store.load(ANN).records == (record(1),)
    assert store.load(ANN).edits == ()


def test_a_key_is_taken_in_once_a_session(store):
    version = store.write(ANN, [record(1, key="k")], (), 0)
    with pytest.raises(Conflict, match="has one of these keys already"):
        store.write(ANN, [record(2), record(3, key="k")], (), version)
    assert store.load(ANN).version == version
    store.write(Scope(tenant="t", user="ann", session="other"), [record(1, key="k")], (), 0)
    version = store.write(ANN, [record(2), record(3)], (), version)
    assert len(store.load(ANN).records) == 3


@pytest.mark.parametrize("numbers", [(1,), (3,), (2, 4), (3, 2), (2, 2), (2**70,)])
def test_numbers_go_on_without_gaps(store, numbers):
    version = store.write(ANN, [record(1)], (), 0)
    with pytest.raises(BadInput, match="number the next from 2 on"):
        store.write(ANN, [record(number) for number in numbers], (), version)
    assert store.load(ANN).records == (record(1),)


def test_a_write_repeated_with_keys_or_of_edits_alone_is_known_again(store):
    first = store.write(ANN, [record(1, key="a"), record(2, key="b")], EDITS[:1], 0)
    second = store.write(ANN, (), EDITS[1:2], first)
    assert store.write(ANN, [record(1, key="a"), record(2, key="b")], EDITS[:1], 0) == first
    assert store.write(ANN, (), EDITS[1:2], first) == second
    assert store.load(ANN) == store.load(ANN)
    assert [len(store.load(ANN).records), len(store.load(ANN).edits)] == [2, 2]


def test_a_write_repeated_without_keys_or_with_other_words_is_a_conflict(store):
    store.write(ANN, [record(1)], (), 0)
    store.write(BOB, [record(1, key="a")], (), 0)
    for scope, again in ((ANN, record(1)), (BOB, record(1, "other", key="a")), (BOB, record(1, key="b"))):
        with pytest.raises(Conflict):
            store.write(scope, [again], (), 0)


def test_writing_nothing_checks_the_version_alone(store):
    assert store.write(ANN, (), (), 0) == 0
    assert store.sessions(Scope()) == []
    version = store.write(ANN, [record(1)], (), 0)
    assert store.write(ANN, (), (), version) == version
    with pytest.raises(Conflict):
        store.write(ANN, (), (), 0)


def test_tenants_and_users_are_walls(store):
    others = [BOB, Scope(tenant="t2", user="ann", session="s1"), Scope(tenant="", user="t", session="ann")]
    for place, scope in enumerate((ANN, *others)):
        store.write(scope, [record(1, f"text {place}")], (), 0)
        store.note(scope, [Fact(subject="x", value=f"fact {place}")])
    for place, scope in enumerate((ANN, *others)):
        assert [r.message.text for r in store.load(scope).records] == [f"text {place}"]
        assert [found.record.message.text for found in store.arrived(scope)] == [f"text {place}"]
        assert [fact.value for fact in store.facts(scope)] == [f"fact {place}"]


def test_arrived_goes_over_all_sessions_of_a_user_in_order(store):
    other = ANN.model_copy(update={"session": "s2"})
    first = store.write(ANN, [record(1, "a"), record(2, "b")], (), 0)
    store.write(other, [record(1, "c")], EDITS[:2], 0)
    store.write(ANN, [record(3, "d")], (), first)
    found = store.arrived(Scope(tenant="t", user="ann"))
    assert [(each.session, each.record.message.text) for each in found] == [
        ("s1", "a"), ("s1", "b"), ("s2", "c"), ("s1", "d"),
    ]  # fmt: skip
    rows = [each.row for each in found]
    assert rows == sorted(set(rows))
    assert store.arrived(ANN, rows[1]) == found[2:]
    assert store.arrived(ANN, rows[-1]) == []


def test_sessions_are_listed_by_filter_the_last_written_first(store):
    other = ANN.model_copy(update={"session": "s2"})
    version = store.write(ANN, [record(1, time="2026-01-01T00:00:00+00:00")], (), 0)
    store.write(other, [record(1)], EDITS[:2], 0)
    store.write(BOB, [record(1)], (), 0)
    store.write(ANN, [record(2, time="2026-01-02T00:00:00+00:00"), record(3)], EDITS[:1], version)
    ann = SessionInfo(ANN, 3, 1, "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00")
    assert store.sessions(Scope()) == [ann, SessionInfo(BOB, 1, 0, "", ""), SessionInfo(other, 1, 2, "", "")]
    assert store.sessions(Scope(user="ann")) == [ann, SessionInfo(other, 1, 2, "", "")]
    assert store.sessions(Scope(tenant="t", session="s2")) == [SessionInfo(other, 1, 2, "", "")]


def test_facts_are_kept_once_and_found_by_subject(store):
    facts = [
        Fact(subject="ann", value="lives in Rome", time="2026-02-01", source="s1:m1"),
        Fact(subject="ann", value="lives in Oslo", time="2026-01-01", source="s1:m2"),
        Fact(subject="\0 odd \ud800" * 200, value="v\0"),
    ]
    store.note(ANN, facts)
    store.note(ANN, [facts[0], facts[0]])
    assert store.facts(ANN) == [facts[2], facts[1], facts[0]]
    assert store.facts(ANN, "ann") == [facts[1], facts[0]]
    assert store.facts(ANN, facts[2].subject) == [facts[2]]
    assert store.facts(BOB) == []


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x" * 801])
@pytest.mark.parametrize("field", ["tenant", "user", "session"])
def test_a_scope_that_no_database_can_hold_is_refused(store, field, text):
    scope = Scope(**{field: text})
    for use in (
        lambda: store.load(scope),
        lambda: store.write(scope, [record(1)], (), 0),
        lambda: store.sessions(scope),
        lambda: store.arrived(scope),
        lambda: store.note(scope, [Fact(subject="a", value="b")]),
        lambda: store.forget(scope),
    ):
        with pytest.raises(BadInput, match=f"the {field} "):
            use()


def test_a_newer_store_is_refused(database_url):
    database = open_database(database_url)
    migrate(database, NAME, (*STEPS, ()))
    with pytest.raises(BadInput, match="memory tables of version"):
        SqlStore(database)
    database.close()


def test_a_memory_works_on_it(store):
    memory = Memory(store, lambda message: len(message.text))
    talk = [user("one"), user("two"), user("three")]
    assert memory.compact(talk[:2], ANN) == talk[:2]
    other = Memory(store, lambda message: len(message.text))
    assert other.compact(talk, ANN) == talk
    assert len(store.load(ANN).records) == 3
    assert other.forget(ANN).records == 3


# -- any value ------------------------------------------------------------------------------------------

STRINGS = st.text(st.characters(codec=None, exclude_categories=())).map(
    # halves side by side are one character to every reader of JSON
    lambda text: (
        text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        if "\ud83d" not in text and text.isascii()
        else text.encode("utf-8", "ignore").decode() + ("\ud800" if len(text) % 3 == 0 else "")
    )
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | STRINGS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRINGS, inner, max_size=3),
    max_leaves=6,
)
PARTS = (
    st.builds(Text, text=STRINGS)
    | st.builds(Image, url=STRINGS)
    | st.builds(
        Call,
        id=STRINGS,
        name=STRINGS,
        arguments=st.dictionaries(STRINGS, VALUES, max_size=3),
        malformed=STRINGS,
    )
    | st.builds(Result, call_id=STRINGS, text=STRINGS, is_error=st.booleans())
    | st.builds(Opaque, provider=STRINGS, payload=VALUES)
)
MESSAGES = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    parts=st.lists(PARTS, max_size=3).map(tuple),
    id=STRINGS,
)


_COUNT = count()


def exact(value):
    """A text that tells NaN from NaN by nothing, and 1 from 1.0 and -0.0 from 0.0."""
    return json.dumps(value.model_dump())


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    messages=st.lists(
        st.tuples(MESSAGES, STRINGS, STRINGS), min_size=1, max_size=4, unique_by=lambda each: each[1]
    ),
    names=st.tuples(*[st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=50)] * 3),
)
def test_any_message_key_time_and_scope_comes_back_exactly(store, messages, names):
    scope = Scope(tenant=names[0], user=names[1], session=f"{names[2]}{next(_COUNT)}")
    records = [
        Record(number=number, message=message, key=key, time=time)
        for number, (message, key, time) in enumerate(messages, 1)
    ]
    version = store.write(scope, records, (), 0)
    assert store.write(scope, (), EDITS, version) > version
    assert [*map(exact, store.load(scope).records)] == [*map(exact, records)]
    assert [exact(each.record) for each in store.arrived(scope) if each.session == scope.session] == [
        *map(exact, records)
    ]
    assert store.load(scope).edits == EDITS
    assert [info.scope for info in store.sessions(scope)].count(scope) == 1
