"""Items: namespaces of any labels, times to live, an index that follows every writer, nothing left behind."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxeng.errors import BadInput
from ctxeng.memory.items import Change, Items
from ctxeng.memory.items_filter import fits
from ctxeng.memory.items_rows import bounds, labels, space
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.storage.sql import open_database

pytest_plugins = ("postgres",)

NAMESPACES = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=4).map(tuple)


class Counting(HashingEmbedder):
    """Knows how many texts it encoded."""

    seen = 0

    def embed(self, texts):
        type(self).seen += len(texts)
        return super().embed(texts)


@pytest.fixture
def items(database_url):
    database = open_database(database_url)
    yield Items(database, HashingEmbedder())
    database.close()


def keys(found):
    return [item.key for item in found]


@given(NAMESPACES, NAMESPACES)
def test_a_namespace_is_below_another_exactly_where_its_labels_begin_with_the_others(one, other):
    low, high = bounds(other)
    assert (low <= space(one) < high) == (one[: len(other)] == other)
    assert labels(space(one)) == one


@given(st.dictionaries(st.sampled_from("ab"), st.one_of(st.none(), st.booleans(), st.integers(), st.text())))
def test_any_value_can_be_compared_with_any_operator(value):
    for name in ("$gt", "$gte", "$lt", "$lte", "$eq", "$ne"):
        for against in (1, "1", "x", None, [1], True):
            assert fits(value, {"a": {name: against}}) in {True, False}


@pytest.mark.parametrize(
    ("wanted", "fit"),
    [
        ({"n": {"$gt": 4}}, True),
        ({"n": {"$gt": 5}}, False),
        ({"n": {"$gte": 5, "$lt": "6"}}, True),
        ({"day": {"$lt": "2026-10-01"}}, True),
        ({"day": {"$lt": 7}}, False),
        ({"inner": {"x": 1}}, True),
        ({"inner": {"x": {"$ne": 1}}}, False),
        ({"tags": ["a", "b"]}, True),
        ({"tags": ("a",)}, False),
        ({"none": None}, True),
        ({"none": {"$gt": 0}}, False),
    ],
)
def test_a_filter_means_what_it_says(wanted, fit):
    value = {"n": 5, "day": "2026-09-30", "inner": {"x": 1, "y": 2}, "tags": ["a", "b"]}
    assert fits(value, wanted) is fit


def test_half_a_character_of_one_user_spoils_no_query_of_another(items):
    items.put(("ada",), "k", {"text": "\ud800 granite"})
    items.put(("bob",), "k", {"text": "granite"})
    assert keys(items.search(("bob",), "granite \udfff")) == ["k"]
    assert items.get(("ada",), "k").value == {"text": "\ud800 granite"}


def test_a_time_to_live_begins_anew_when_the_item_is_read(database_url):
    time = [datetime(2026, 1, 1, tzinfo=UTC)]
    items = Items(open_database(database_url), clock=lambda: time[0])

    def later(minutes):
        time[0] += timedelta(minutes=minutes)

    items.put(("m",), "a", {"v": "granite"}, minutes=60)
    later(50)
    assert items.get(("m",), "a")
    later(50)
    assert keys(items.search(("m",), "granite")) == ["a"]
    later(50)
    assert items.get(("m",), "a", refresh=False)
    later(20)
    assert items.get(("m",), "a") is None
    assert items.search(("m",), "granite") == []
    assert items.namespaces() == []
    assert items.expire() == 1
    items.database.close()


@pytest.mark.parametrize("minutes", [float("nan"), float("inf"), 1e300])
def test_no_time_is_refused(items, minutes):
    with pytest.raises(BadInput, match="no time to live"):
        items.put(("m",), "a", {"v": 1}, minutes=minutes)


def test_a_change_keeps_the_time_of_the_first(items):
    items.put(("m",), "a", {"v": 1})
    first = items.get(("m",), "a")
    items.put(("m",), "a", {"v": 2})
    again = items.get(("m",), "a")
    assert again.created == first.created
    assert again.updated > first.updated


def test_pages_of_a_search_are_the_search(items):
    items.write([Change(("m",), f"{n}", {"n": n, "text": "granite " * (n % 7 + 1)}) for n in range(1_203)])
    for query, where in (("", None), ("", {"n": {"$gte": 100}}), ("granite", {"n": {"$lt": 1_100}})):
        whole = keys(items.search(("m",), query, where, 2_000))
        assert len(whole) == len(set(whole)) == 1_203 - 103 * bool(query) - 100 * bool(where and not query)
        pages = [keys(items.search(("m",), query, where, 100, start)) for start in range(0, 1_300, 100)]
        assert [key for page in pages for key in page] == whole


def test_only_what_changed_is_encoded_again(tmp_path):
    Counting.seen = 0
    items = Items(open_database("sqlite:./i.db", tmp_path), Counting())
    items.write([Change(("m",), str(n), {"text": f"granite {n}"}) for n in range(2_500)])
    items.search(("m",), "granite")
    assert Counting.seen == 2_501
    items.put(("m",), "3", {"text": "tea"})
    items.delete(("m",), "4")
    assert keys(items.search(("m",), "tea", limit=1)) == ["3"]
    assert Counting.seen == 2_501 + 2
    items.database.close()


def test_a_write_that_is_committed_late_is_still_found(database_url):
    """Where numbers are given before the commit, a reader can have passed one by."""
    if database_url == "sqlite::memory:":
        pytest.skip("one process' alone")
    first, second = (Items(open_database(database_url)) for _ in range(2))
    second.put(("m",), "before", {"text": "granite"})
    begun, thread = threading.Event(), None

    def other():
        begun.wait(10)
        second.put(("m",), "quick", {"text": "granite"})
        second.search(("m",), "granite")

    thread = threading.Thread(target=other)
    thread.start()
    attempt = first.database.attempt

    def slow(work, *, write=True):
        def whole(run):
            done = work(run)
            begun.set()
            thread.join(0.5)  # the other one commits now, if it can
            return done

        return attempt(whole, write=write)

    first.database.attempt = slow
    first.put(("m",), "late", {"text": "granite"})
    del first.database.attempt
    thread.join(10)
    assert sorted(keys(second.search(("m",), "granite"))) == ["before", "late", "quick"]
    scores = [item.score for item in second.search(("m",), "granite")]
    assert all(score > 0 for score in scores)
    first.database.close()
    second.database.close()


def test_writers_at_once_lose_nothing(database_url):
    items = Items(open_database(database_url))
    threads = [
        threading.Thread(target=lambda n=n: [items.put((f"u{n}",), str(k), {"k": k}) for k in range(20)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(items.search((), limit=200)) == 80
    items.database.close()


def test_nothing_is_left_by_many_changes_but_what_is_kept(items):
    for n in range(50):
        items.put(("m",), "a", {"n": n})
    with items.database.reading() as run:
        assert [run(f"SELECT count(*) FROM {table}") for table in ("memory_items", "memory_item_ticks")] == [
            [(1,)],
            [(1,)],
        ]


def test_forgetting_empties_the_index_too(items):
    items.put(("ada", "x"), "k", {"text": "zanzibar"})
    items.put(("adam",), "k", {"text": "granite"})
    items.search((), "zanzibar")
    assert items.forget(("ada",)) == 1
    assert len(items._index._words) == len(items._index._vectors) == 1
    assert keys(items.search((), "granite")) == ["k"]
    with pytest.raises(BadInput, match="which namespace"):
        items.forget(())


@pytest.mark.parametrize(
    ("namespace", "says"),
    [
        ((), "one label"),
        (("",), "no namespace"),
        ("text", "no namespace"),
        ((1,), "no namespace"),
        (("x" * 900,), "800"),
    ],
)
def test_what_is_no_namespace_is_refused(items, namespace, says):
    with pytest.raises(BadInput, match=says):
        items.put(namespace, "k", {"v": 1})


def test_labels_and_keys_of_any_length_and_characters_come_back(items):
    odd = "\U0001f468\u200d\U0001f469 a.b\x1f\x00'%_"
    items.put((odd, "x" * 500), "k" * 5_000, {"v": 1})
    (found,) = items.search((odd,))
    assert (found.namespace, found.key) == ((odd, "x" * 500), "k" * 5_000)
    assert items.namespaces() == [(odd, "x" * 500)]
