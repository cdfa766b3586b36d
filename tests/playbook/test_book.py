"""The rules for deltas, proven on random batches."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxeng.errors import DeltaRefused, UnknownName
from ctxeng.playbook.book import Playbook
from ctxeng.playbook.delta import DELTAS, Add, Merge, Redact, Remove, Tag, Update
from ctxeng.playbook.entry import Entry, Provenance, mint
from ctxeng.playbook.rows import fingerprint

TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30).filter(str.strip)
INTENTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 99), st.integers(0, 99), TEXTS), max_size=12)


def made(playbook, intent, by=""):
    """A delta that applies, from four random values; None where there is nothing to change."""
    op, one, other, text = intent
    names = [entry.id for entry in playbook.own]
    if op == 0 or not names:
        entry = Entry(id=mint("general", f"{text}{one}{other}", playbook.taken), text=text)
        after = [None, "", *names][other % (len(names) + 2)]
        trust = ("untrusted", "user", "trusted")[one % 3]
        votes, origin = {"helpful": one}, Provenance(turns=(text,), trust=trust)
        return Add(entry=entry, after=after, votes=votes, provenance=origin, by=by)
    name, second = names[one % len(names)], names[other % len(names)]
    match op:
        case 1:
            return Update(id=name, text=text, when=text if other % 2 else None, by=by)
        case 2 if name != second:
            return Merge(ids=(name, second), into=second, text=text if other % 2 else None, by=by)
        case 3:
            return Remove(id=name, by=by)
        case 4:
            return Tag(id=name, votes={"helpful": one % 3, "harmful": other % 3 + 1}, by=by)
        case _:
            return Update(id=name, status=("candidate", "active", "retired")[other % 3], by=by)


def grown(intents, playbook=None):
    playbook = playbook or Playbook()
    for intent in intents:
        playbook = playbook.apply([made(playbook, intent)]).playbook
    return playbook


def batch(playbook, intents):
    deltas = []
    for intent in intents:
        deltas.append(made(playbook, intent))
        playbook = playbook.apply(deltas[-1:]).playbook
    return deltas


def whole(playbook):
    """Everything a playbook says: entries in order, votes and provenance."""
    return [(entry, dict(playbook.votes(entry.id)), playbook.provenance(entry.id)) for entry in playbook.own]


@given(INTENTS, INTENTS)
def test_the_inverse_restores_entries_order_votes_and_provenance(first, second):
    playbook = grown(first)
    applied = playbook.apply(batch(playbook, second))
    back = applied.playbook.apply(applied.inverse).playbook
    assert whole(back) == whole(playbook)
    assert back == playbook
    assert back.version == playbook.version


@given(INTENTS, INTENTS)
def test_the_inverse_of_the_inverse_is_the_change_again(first, second):
    playbook = grown(first)
    applied = playbook.apply(batch(playbook, second))
    undone = applied.playbook.apply(applied.inverse)
    assert whole(undone.playbook.apply(undone.inverse).playbook) == whole(applied.playbook)


@given(INTENTS, st.tuples(st.integers(0, 5), st.integers(0, 99), st.integers(0, 99), TEXTS))
def test_untouched_entries_are_the_same_objects(first, intent):
    playbook = grown(first)
    delta = made(playbook, intent)
    touched = (
        {delta.entry.id} if isinstance(delta, Add) else {*getattr(delta, "ids", ()), getattr(delta, "id", "")}
    )
    after = playbook.apply([delta]).playbook
    for entry in playbook.own:
        if entry.id not in touched:
            assert after.get(entry.id) is entry


@given(INTENTS, INTENTS, st.integers(0, 12))
def test_a_batch_with_one_bad_delta_changes_nothing(first, second, where):
    playbook = grown(first)
    before = whole(playbook)
    deltas = batch(playbook, second)
    deltas.insert(where, Remove(id="nobody-aaaaa"))
    with pytest.raises(DeltaRefused) as refused:
        playbook.apply(deltas)
    assert len(refused.value.results) == len(deltas)
    assert refused.value.results[min(where, len(deltas) - 1)] == "unknown-id"
    assert whole(playbook) == before


@given(INTENTS)
def test_the_version_is_the_hash_of_the_entries_alone(intents):
    playbook = grown(intents)
    total = sum(map(fingerprint, playbook.own)) % 2**256
    assert playbook.version == f"{total:064x}"[:16]
    assert Playbook.of(reversed(playbook.own)).version == playbook.version


@given(INTENTS)
def test_deltas_and_inverses_survive_json(intents):
    playbook = Playbook()
    for intent in intents:
        applied = playbook.apply([made(playbook, intent)])
        assert DELTAS.validate_json(DELTAS.dump_json(applied.inverse)) == applied.inverse
        playbook = applied.playbook


@given(INTENTS)
def test_an_id_that_was_removed_is_never_used_again(intents):
    playbook = grown(intents)
    for name in playbook.gone:
        with pytest.raises(DeltaRefused, match="reused-id"):
            playbook.apply([Add(entry=Entry(id=name, text="another lesson"))])
        assert playbook.taken(name)


NEW = Entry(id="new-aaaaa", text="new")
ONE, TWO, THREE = (Entry(id=f"x-{letter * 5}", text=letter) for letter in "abc")


@pytest.fixture
def book():
    return Playbook.of([ONE, TWO, THREE])


@pytest.mark.parametrize(
    ("delta", "code"),
    [
        (Update(id="x-zzzzz", text="t"), "unknown-id"),
        (Remove(id="x-zzzzz"), "unknown-id"),
        (Tag(id="x-zzzzz", votes={"helpful": 1}), "unknown-id"),
        (Merge(ids=("x-aaaaa", "x-zzzzz"), into="x-aaaaa"), "unknown-id"),
        (Add(entry=ONE), "duplicate-id"),
        (Add(entry=Entry(id="y-aaaaa", text="t"), after="x-zzzzz"), "unknown-id"),
        (Tag(id="x-aaaaa", votes={"helpful": -1}), "invalid"),
        (Add(entry=Entry(id="y-aaaaa", text="t", status="frozen")), "frozen"),
        (Update(id="x-aaaaa", status="frozen"), "frozen"),
    ],
)
def test_what_does_not_apply_is_an_error_with_a_code(book, delta, code):
    with pytest.raises(DeltaRefused) as refused:
        book.apply([delta])
    assert refused.value.results == (code,)


def test_a_change_that_changes_nothing_is_said_to_be_none(book):
    applied = book.apply([Update(id="x-aaaaa", text="a"), Tag(id="x-bbbbb", votes={"helpful": 0})])
    assert applied.results == ("no-change", "no-change")
    assert applied.inverse == ()


def test_only_a_person_changes_what_a_person_froze(book):
    frozen = book.apply([Update(id="x-aaaaa", status="frozen", by="person:ana")]).playbook
    for delta in (
        Update(id="x-aaaaa", text="t", by="ace"),
        Remove(id="x-aaaaa"),
        Merge(ids=("x-aaaaa", "x-bbbbb"), into="x-bbbbb"),
    ):
        with pytest.raises(DeltaRefused, match="frozen"):
            frozen.apply([delta])
        assert frozen.apply([delta], by="person:ana").results == ("ok",)
    assert frozen.apply([Tag(id="x-aaaaa", votes={"helpful": 1})]).results == ("ok",)


def test_extended_entries_are_seen_and_cannot_be_changed():
    house = Entry(id="house-aaaaa", text="be kind")
    book = Playbook.of([ONE], extended=[house])
    assert book.entries == (house, ONE)
    assert (book.own, book.extended) == ((ONE,), (house,))
    assert book.get("house-aaaaa") is house
    assert book.version == Playbook.of([ONE]).version
    for delta in (Remove(id=house.id), Tag(id=house.id, votes={"helpful": 1}), Redact(id=house.id)):
        with pytest.raises(DeltaRefused, match="read-only"):
            book.apply([delta], by="person:ana")
    with pytest.raises(DeltaRefused, match="duplicate-id"):
        book.apply([Add(entry=house)])


def test_a_merge_sums_votes_and_unites_lineage(book):
    tagged = book.apply(
        [
            Tag(id="x-aaaaa", votes={"helpful": 2}),
            Tag(id="x-ccccc", votes={"helpful": 1, "neutral": 4}),
            Add(
                entry=Entry(id="x-ddddd", text="d"),
                provenance=Provenance(turns=("t9",), trust="untrusted", strategy="ace"),
            ),
        ]
    ).playbook
    merged = tagged.apply([Merge(ids=("x-ccccc", "x-aaaaa", "x-ddddd"), into="x-aaaaa", text="all")]).playbook
    assert [entry.text for entry in merged.own] == ["all", "b"]
    assert merged.votes("x-aaaaa") == {"helpful": 3, "neutral": 4}
    origin = merged.provenance("x-aaaaa")
    assert (origin.trust, origin.strategy, origin.turns) == ("untrusted", "ace", ("t9",))
    assert origin.parents == ("x-ccccc", "x-ddddd")


def test_redaction_reaches_removed_entries_too_and_has_no_inverse(book):
    spoken = book.apply([Update(id="x-bbbbb", text="Ana's secret"), Remove(id="x-bbbbb")]).playbook
    applied = spoken.apply([Redact(pattern="Ana")])
    assert applied.inverse == ()
    assert applied.playbook.gone["x-bbbbb"].entry.text == "[redacted]'s secret"


def test_an_unknown_entry_is_named_with_its_like(book):
    with pytest.raises(UnknownName, match="x-aaaaa, x-bbbbb, x-ccccc"):
        book.get("x-zzzzz")
    assert "x-zzzzz" not in book
    assert len(book) == 3


def test_a_change_costs_the_same_in_a_small_and_in_a_large_playbook():
    def seconds(count):
        book = Playbook.of(Entry(id=f"x{number}-aaaaa", text=f"lesson {number}") for number in range(count))
        tag, add = Tag(id="x7-aaaaa", votes={"helpful": 1}), Add(entry=NEW)
        took = []
        for _ in range(30):
            began = time.process_time()
            for _ in range(30):
                book.apply([tag, add])
            took.append(time.process_time() - began)
        return min(took)

    assert seconds(20_000) < 4 * seconds(20)


def test_two_entries_cannot_share_an_id():
    with pytest.raises(ValueError, match="x-aaaaa"):
        Playbook.of([ONE, ONE])
    with pytest.raises(ValueError, match="x-aaaaa"):
        Playbook.of([ONE], extended=[ONE])
    with pytest.raises(ValueError, match="x-aaaaa"):
        Playbook.of([], extended=[ONE, ONE])
