"""LangGraph's store over ours: what its own in-memory store does, kept, shared and forgotten for good."""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.store.base import BaseStore, PutOp
from langgraph.store.memory import InMemoryStore

from ctxeng.errors import BadInput
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng_integrations.langgraph import CtxengStore

pytest_plugins = ("postgres",)


@pytest.fixture(params=["langgraph", "sqlite memory", "sqlite file", "postgres"])
def store(request, tmp_path):
    if request.param == "langgraph":
        yield InMemoryStore()
    elif request.param == "postgres":
        with request.getfixturevalue("postgres").database() as url:
            kept = CtxengStore(url)
            yield kept
            kept.items.database.close()
    else:
        yield CtxengStore(
            "sqlite::memory:" if "memory" in request.param else "sqlite:./s.db", folder=tmp_path
        )


def keys(items):
    return [item.key for item in items]


def test_what_was_put_is_got_and_changed_and_deleted(store):
    store.put(("users", "ada"), "likes", {"food": "figs", "n": [1, 2.5, None, True]})
    item = store.get(("users", "ada"), "likes")
    assert item.value == {"food": "figs", "n": [1, 2.5, None, True]}
    assert item.namespace == ("users", "ada")
    store.put(("users", "ada"), "likes", {"food": "plums"})
    again = store.get(("users", "ada"), "likes")
    assert again.value == {"food": "plums"}
    assert item.created_at <= again.created_at <= again.updated_at or again.created_at == item.created_at
    store.delete(("users", "ada"), "likes")
    assert store.get(("users", "ada"), "likes") is None
    store.delete(("users", "ada"), "likes")


def test_a_search_is_by_prefix_filter_limit_and_offset(store):
    for n in range(5):
        store.put(("a", "x" if n % 2 else "y"), f"k{n}", {"n": n, "odd": bool(n % 2)})
    store.put(("ab",), "other", {"n": 9})
    assert sorted(keys(store.search(("a",)))) == ["k0", "k1", "k2", "k3", "k4"]
    assert keys(store.search(("a", "x"))) == ["k1", "k3"]
    assert keys(store.search(("a",), filter={"odd": True})) == ["k1", "k3"]
    assert sorted(keys(store.search(("a",), filter={"n": {"$gte": 1, "$lt": 4}}))) == ["k1", "k2", "k3"]
    assert sorted(keys(store.search(("a",), filter={"n": {"$ne": 2}}))) == ["k0", "k1", "k3", "k4"]
    assert len(store.search(("a",), limit=2)) == 2
    assert keys(store.search(("a", "x"), limit=2, offset=1)) == ["k3"]
    assert keys(store.search(())) != []


def test_namespaces_are_listed_by_pattern_and_depth(store):
    for namespace in (("a", "b", "c"), ("a", "b", "d"), ("a", "x", "c"), ("z",)):
        store.put(namespace, "k", {"v": 1})
    assert store.list_namespaces() == [("a", "b", "c"), ("a", "b", "d"), ("a", "x", "c"), ("z",)]
    assert store.list_namespaces(prefix=("a", "b")) == [("a", "b", "c"), ("a", "b", "d")]
    assert store.list_namespaces(suffix=("c",)) == [("a", "b", "c"), ("a", "x", "c")]
    assert store.list_namespaces(prefix=("a", "*", "c")) == [("a", "b", "c"), ("a", "x", "c")]
    assert store.list_namespaces(max_depth=2) == [("a", "b"), ("a", "x"), ("z",)]
    assert store.list_namespaces(limit=1, offset=1) == [("a", "b", "d")]


def test_awaited_it_does_the_same(store):
    async def work():
        await store.aput(("n",), "k", {"v": 1})
        assert (await store.aget(("n",), "k")).value == {"v": 1}
        assert keys(await store.asearch(("n",))) == ["k"]
        await store.adelete(("n",), "k")
        return await store.aget(("n",), "k")

    assert asyncio.run(work()) is None


def test_keys_and_values_of_any_characters_come_back_exactly(store):
    odd = "a\x00b'\"\\ \U0001f682 %_"
    store.put(("n",), odd, {odd: odd})
    assert store.get(("n",), odd).value == {odd: odd}
    assert keys(store.search(("n",))) == [odd]


@pytest.mark.parametrize("encoder", [None, HashingEmbedder()])
def test_a_query_finds_the_best_first_and_what_changed_since(encoder, tmp_path):
    store = CtxengStore("sqlite:./s.db", encoder, tmp_path)
    store.put(("m",), "a", {"text": "the harbour is built of granite"})
    store.put(("m",), "b", {"text": "tea is drunk in the afternoon"})
    store.put(("other",), "c", {"text": "granite granite granite"})
    assert keys(store.search(("m",), query="granite harbour"))[0] == "a"
    store.put(("m",), "b", {"text": "granite harbour, granite harbour"})
    store.delete(("m",), "a")
    (found, *_) = store.search(("m",), query="granite harbour")
    assert found.key == "b"
    assert found.score > 0


def test_only_the_fields_that_are_named_are_searched(tmp_path):
    store = CtxengStore(folder=tmp_path)
    store.put(("m",), "a", {"text": "granite", "notes": [{"of": "tea"}]}, index=["notes[*].of"])
    store.put(("m",), "b", {"text": "granite"}, index=False)
    store.put(("m",), "c", {"text": "granite"})
    scores = {item.key: item.score for item in store.search(("m",), query="granite")}
    assert scores["c"] > 0
    assert scores["a"] == 0
    assert scores["b"] is None
    assert keys(store.search(("m",), query="tea"))[0] == "a"


def test_values_outlive_the_process_and_are_shared_between_stores(tmp_path):
    first, second = (CtxengStore("sqlite:./s.db", folder=tmp_path) for _ in range(2))
    first.put(("m",), "a", {"text": "granite"})
    assert keys(second.search(("m",), query="granite")) == ["a"]
    first.delete(("m",), "a")
    assert second.search(("m",), query="granite") == []


def test_what_has_expired_is_gone(tmp_path):
    store = CtxengStore(folder=tmp_path)
    store.put(("m",), "a", {"v": 1}, ttl=-1)
    store.put(("m",), "b", {"v": 1}, ttl=60)
    assert store.get(("m",), "a") is None
    assert keys(store.search(("m",))) == ["b"]
    assert store.list_namespaces() == [("m",)]
    with store.items.database.reading() as run:
        assert run("SELECT count(*) FROM memory_items") == [(1,)]  # the next write removed it


def test_forgetting_leaves_no_byte_in_any_file(tmp_path):
    store = CtxengStore("sqlite:./s.db", folder=tmp_path)
    for n in range(50):
        store.put(("users", "ada"), f"k{n}", {"secret": f"zanzibar-7351-{n}"})
        store.put(("users", "bob"), f"k{n}", {"secret": f"quetzal-9902-{n}"})
    assert store.forget(("users", "ada")) == 50
    files = [path.read_bytes() for path in tmp_path.iterdir()]
    assert not any(b"zanzibar" in data for data in files)
    assert any(b"quetzal" in data for data in files)
    with pytest.raises(BadInput, match="which namespace"):
        store.forget(())


def test_bad_input_is_named(tmp_path):
    store = CtxengStore(folder=tmp_path)
    with pytest.raises(BadInput, match="only JSON"):
        store.items.put(("m",), "a", {"v": object()})
    store.put(("m",), "a", {"v": 1})
    with pytest.raises(BadInput, match=r"\$near"):
        store.search(("m",), filter={"v": {"$near": 1}})


class State(TypedDict):
    """A list of names that were seen."""

    seen: Annotated[list[str], operator.add]


def note(state: State, *, store: BaseStore) -> State:
    """Remember how often this was called, across threads."""
    item = store.get(("counts",), "calls")
    calls = (item.value["n"] if item else 0) + 1
    store.put(("counts",), "calls", {"n": calls})
    return {"seen": [f"call {calls}"]}


@pytest.mark.parametrize("saver", ["memory", "sqlite"])
def test_a_graph_has_it_beside_the_users_own_checkpointer(saver, tmp_path):
    def run(checkpointer):
        graph = StateGraph(State).add_node("note", note).add_edge(START, "note").add_edge("note", END)
        app = graph.compile(checkpointer=checkpointer, store=CtxengStore("sqlite:./s.db", folder=tmp_path))
        for thread in ("one", "two", "one"):
            state = app.invoke({"seen": []}, {"configurable": {"thread_id": thread}})
        assert state["seen"] == ["call 1", "call 3"]

    if saver == "memory":
        run(InMemorySaver())
    else:
        with SqliteSaver.from_conn_string(str(tmp_path / "c.db")) as kept:
            run(kept)


def test_a_filter_passes_over_values_without_the_field(tmp_path):
    store = CtxengStore(folder=tmp_path)
    store.put(("m",), "a", {"n": 5, "day": "2026-03-01"})
    store.put(("m",), "b", {"x": 1})
    assert keys(store.search(("m",), filter={"n": {"$gt": 1}})) == ["a"]
    assert keys(store.search(("m",), filter={"day": {"$lt": "2026-11-01"}})) == ["a"]


def test_a_batch_is_written_whole_or_not_at_all(store):
    if isinstance(store, InMemoryStore):
        pytest.skip("it takes values that are no JSON")
    with pytest.raises(BadInput, match="only JSON"):
        store.batch([PutOp(("m",), "a", {"v": 1}), PutOp(("m",), "b", {"v": object()})])
    assert store.get(("m",), "a") is None


def test_the_last_of_several_writes_to_one_key_counts(store):
    store.put(("m",), "b", {"v": 0})
    store.batch([PutOp(("m",), "a", {"v": 1}), PutOp(("m",), "a", {"v": 2}), PutOp(("m",), "b", None)])
    store.batch([PutOp(("m",), "c", None), PutOp(("m",), "c", {"v": 3})])
    assert {item.key: item.value["v"] for item in store.search(("m",))} == {"a": 2, "c": 3}


def test_a_list_is_searched_entry_by_entry_and_paths_that_lead_nowhere_are_no_matter(tmp_path):
    store = CtxengStore(folder=tmp_path, fields=["notes[*]", "notes[7]", "n"])
    store.put(("m",), "a", {"notes": ["granite harbour", "tea"], "n": 7351})
    store.put(("m",), "b", {"notes": ["granite harbour tea and much more that is said of other things"]})
    assert keys(store.search(("m",), query="granite harbour")) == ["a", "b"]
    assert keys(store.search(("m",), query="7351"))[0] == "a"
