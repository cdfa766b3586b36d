"""Memory in a LangChain agent: a bounded window, a whole state, any checkpointer, sync and async alike."""

from __future__ import annotations

import asyncio

import pytest
from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from pydantic import Field

from ctxeng.errors import BadInput
from ctxeng.memory.alone import open_memory
from ctxeng.memory.clear import ClearToolUses
from ctxeng.memory.memory import Memory, priced_by
from ctxeng.memory.store import SqlStore
from ctxeng.memory.trigger import Condition
from ctxeng.storage.sql import open_database
from ctxeng.tokens import Estimate
from ctxeng.turn import Scope
from ctxeng_integrations.langchain_memory import MemoryMiddleware

SCOPE = Scope(session="one")


class Fake(FakeMessagesListChatModel):
    """Plays its replies and keeps what it was sent."""

    seen: list = Field(default_factory=list)

    def _generate(self, messages, *args, **kwargs):
        self.seen.append(list(messages))
        return super()._generate(messages, *args, **kwargs)

    def bind_tools(self, tools, **kwargs):
        return self


@tool
def look(key: str) -> str:
    """Look something up."""
    return f"{key}: " + "a long text " * 60


def looping(steps):
    calls = [
        AIMessage("", tool_calls=[{"id": f"c{n}", "name": "look", "args": {"key": f"k{n}"}}])
        for n in range(steps)
    ]
    return Fake(responses=[*calls, AIMessage("done")])


def valid(messages):
    """Whether every tool message directly follows the calls it answers."""
    waiting = []
    for message in messages:
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in waiting:
                return False
            waiting.remove(message.tool_call_id)
        elif waiting:
            return False
        else:
            waiting = [call["id"] for call in getattr(message, "tool_calls", None) or ()]
    return True


def test_a_long_loop_runs_in_a_bounded_window_and_the_state_stays_whole():
    model = looping(30)
    memory = open_memory(limit=1_500)
    agent = create_agent(model, [look], middleware=[MemoryMiddleware(memory, lambda _: SCOPE)])
    state = agent.invoke({"messages": [HumanMessage("look everything up")]}, {"recursion_limit": 200})
    assert state["messages"][-1].text == "done"
    assert len(state["messages"]) == 62
    sizes = [sum(len(str(m.text)) for m in seen) for seen in model.seen]
    assert max(sizes) < 1_500 * 5
    assert all(valid(seen) for seen in model.seen)
    assert "Summary of the conversation so far" in "".join(str(m.text) for m in model.seen[-1])
    assert memory.session(SCOPE).view.upto > 40


def test_messages_that_are_shown_whole_are_the_states_own():
    model = looping(2)
    memory = open_memory(limit=8_000)
    agent = create_agent(model, [look], middleware=[MemoryMiddleware(memory, lambda _: SCOPE)])
    state = agent.invoke({"messages": [HumanMessage("go")]})
    assert [m.id for m in model.seen[-1]] == [m.id for m in state["messages"][:-1]]


def test_edits_are_made_once_and_the_prefix_stays():
    counter = Estimate()
    policy = ClearToolUses(Condition("tokens", 600), keep=1, clear_at_least=500)
    memory = Memory(SqlStore(open_database("sqlite::memory:")), priced_by(counter), (policy,))
    model = looping(12)
    agent = create_agent(model, [look], middleware=[MemoryMiddleware(memory, lambda _: SCOPE)])
    agent.invoke({"messages": [HumanMessage("go")]}, {"recursion_limit": 99})
    changed = sum(
        any(str(a.text) != str(b.text) for a, b in zip(before, after, strict=False))
        for before, after in zip(model.seen, model.seen[1:], strict=False)
    )
    assert 1 <= changed <= 6
    assert "cleared from the window" in str(model.seen[-1][2].text)
    assert model.seen[-1][2].name == "look"


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_it_works_with_the_users_own_checkpointer_and_a_session_a_thread(kind, tmp_path):
    def run(saver):
        model = Fake(responses=[AIMessage("hello")] * 6)
        memory = open_memory(limit=4_000)
        agent = create_agent(model, [], middleware=[MemoryMiddleware(memory)], checkpointer=saver)
        for thread in ("a", "b", "a"):
            agent.invoke(
                {"messages": [HumanMessage(f"hi {thread}")]}, {"configurable": {"thread_id": thread}}
            )
        assert [str(m.text) for m in model.seen[-1]] == ["hi a", "hello", "hi a"]
        assert len(memory.session(Scope(session="b")).view.records) == 1

    if kind == "memory":
        run(InMemorySaver())
    else:
        with SqliteSaver.from_conn_string(str(tmp_path / "checkpoints.db")) as saver:
            run(saver)


def test_after_a_restart_the_window_is_what_it_was(tmp_path):
    history = [HumanMessage("go"), *[AIMessage(f"note {n} " + "word " * 60) for n in range(40)]]
    first = MemoryMiddleware(open_memory("sqlite:./m.db", 800, folder=tmp_path)).window(history, SCOPE)
    again = MemoryMiddleware(open_memory("sqlite:./m.db", 800, folder=tmp_path)).window(history, SCOPE)
    assert [str(m.text) for m in first] == [str(m.text) for m in again]
    assert len(first) < len(history)


def test_a_history_that_was_rewritten_is_refused_by_name():
    middleware = MemoryMiddleware(open_memory(limit=4_000))
    middleware.window([HumanMessage("one"), AIMessage("two")], SCOPE)
    with pytest.raises(BadInput, match="session 'one'"):
        middleware.window([HumanMessage("one"), AIMessage("other"), HumanMessage("three")], SCOPE)


def test_awaited_it_shows_the_same():
    models = []
    for run in ("sync", "async"):
        model = looping(12)
        middleware = MemoryMiddleware(open_memory(limit=1_000), lambda _: SCOPE)
        agent = create_agent(model, [look], middleware=[middleware])
        given = {"messages": [HumanMessage("go")]}, {"recursion_limit": 99}
        if run == "sync":
            agent.invoke(*given)
        else:
            asyncio.run(agent.ainvoke(*given))
        models.append([[str(m.text) for m in seen] for seen in model.seen])
    assert models[0] == models[1]


def test_pictures_and_other_blocks_go_back_as_they_came():
    blocks = [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": "data:,"}},
    ]
    history = [HumanMessage(blocks), AIMessage("a picture")]
    assert MemoryMiddleware(open_memory(limit=9_000)).window(history, SCOPE) == history
