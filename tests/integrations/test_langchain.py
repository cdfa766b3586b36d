"""The LangChain middleware: allowance, stable prefix, frozen turns, tools, feedback, sync and async alike."""

import subprocess
import sys
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import Field

from ctxeng.errors import UnknownTurn
from ctxeng.playbook.delta import Add
from ctxeng.playbook.entry import Entry
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.settings import open_app
from ctxeng.tokens import Estimate
from ctxeng.turn import Labelled, Scope
from ctxeng_integrations.langchain import TURN, PlaybookMiddleware

SYSTEM = "You answer for a shop."
ENTRIES = [
    ("refund-aaaa2", "a refund is asked for", "Find the purchase date before you answer."),
    ("shipping-bbbb3", "a parcel is late", "Look up the carrier before you promise a date."),
    ("login-cccc4", "somebody cannot log in", "Ask whether one person is affected or everybody."),
]


class Fake(FakeMessagesListChatModel):
    """Plays its replies and keeps what it was sent."""

    seen: list[Any] = Field(default_factory=list)
    bound: list[Any] = Field(default_factory=list)

    def _generate(self, messages, *args, **kwargs):
        self.seen.append(messages)
        return super()._generate(messages, *args, **kwargs)

    def bind_tools(self, tools, **kwargs):
        self.bound.append([each.name for each in tools])
        return self


@tool
def parcel_status(order: int) -> str:
    """Where the parcel of an order is."""
    return f"parcel {order} is in Leipzig"


@tool
def issue_refund(order: int) -> str:
    """Pay back the price of an order."""
    return f"refunded {order}"


def says(*texts):
    return Fake(responses=[AIMessage(text) if isinstance(text, str) else text for text in texts])


def calling(name, **args):
    return AIMessage("", tool_calls=[{"id": "call-1", "name": name, "args": args}])


@pytest.fixture
def app(tmp_path):
    path = tmp_path / "shop.yaml"
    lines = [f"  - id: {i}\n    when: {when}\n    text: {text}\n" for i, when, text in ENTRIES]
    path.write_text("ctxeng: 1\nplaybook: shop\nentries:\n" + "".join(lines))
    return open_app(path, encoder=HashingEmbedder())


def agent_of(model, middleware, **more):
    return create_agent(model, middleware=[middleware], system_prompt=SYSTEM, **more)


def ask(agent, text, **config):
    return agent.invoke({"messages": [HumanMessage(text)]}, {"configurable": config} if config else None)


def learn(app, name, text):
    entry = Entry(id=name, text=text, when="always")
    app.store.apply([Add(entry=entry)], by="person:test")


def test_reviewed_entries_stand_behind_the_system_text(app):
    model = says("ok")
    ask(agent_of(model, PlaybookMiddleware(app)), "hello")
    system = model.seen[0][0]
    assert isinstance(system, SystemMessage)
    assert system.text.startswith(SYSTEM)
    assert all(f"- [{name}] When {when}: {text}" in system.text for name, when, text in ENTRIES)


def test_entries_that_nobody_reviewed_stand_before_the_question_as_data_and_never_in_the_system_text(app):
    candidate = Entry(id="odd-dddd5", text="Always pay back everything.", status="candidate")
    app.store.apply([Add(entry=candidate)], by="learn")
    model = says("ok")
    ask(agent_of(model, PlaybookMiddleware(app)), "hello")
    system, human = model.seen[0]
    assert "pay back everything" not in system.text
    assert human.text.startswith("# Notes that nobody has reviewed")
    assert human.text.endswith("hello")


@pytest.mark.parametrize("tokens", [0, 20, 60, 90, 120, 500])
def test_what_is_added_never_costs_more_than_the_allowance(app, tokens):
    candidate = Entry(id="odd-dddd5", text="Never argue about a parcel.", status="candidate")
    app.store.apply([Add(entry=candidate)], by="learn")
    model = says("ok")
    ask(agent_of(model, PlaybookMiddleware(app, tokens=tokens)), "where is my parcel?")
    system, human = (message.text for message in model.seen[0])
    added = system.removeprefix(SYSTEM) + human.removesuffix("where is my parcel?")
    assert Estimate().count(added) <= tokens


def test_a_small_allowance_keeps_the_entry_that_fits_the_question(app):
    model = says("ok")
    ask(agent_of(model, PlaybookMiddleware(app, tokens=90)), "my parcel is late, promise me a date")
    system = model.seen[0][0].text
    assert "shipping-bbbb3" in system
    assert "login-cccc4" not in system


def test_the_prompt_of_a_turn_only_grows_while_its_tools_run_even_if_the_playbook_learns_meanwhile(app):
    @tool
    def learning_tool(order: int) -> str:
        """Where the parcel of an order is."""
        learn(app, "new-eeee6", "Learned while the turn was under way.")
        return f"order {order}"

    model = says(calling("learning_tool", order=1), "done")
    state = ask(agent_of(model, PlaybookMiddleware(app), tools=[learning_tool]), "where is order 1?")
    first, second = model.seen
    assert [message.text for message in second[: len(first)]] == [message.text for message in first]
    turn = app.log.get(state[TURN])
    assert [result.text for step in turn.steps for result in step.results] == ["order 1"]
    assert turn.answer.text == "done"


def test_follow_up_turns_keep_the_entries_shown_before_byte_for_byte_and_know_their_parent(app):
    model = says("one", "two", "three")
    agent = agent_of(model, PlaybookMiddleware(app, tokens=90), checkpointer=InMemorySaver())
    asked = ["my parcel is late", "?", "??"]
    turns = [app.log.get(ask(agent, text, thread_id="t")[TURN]) for text in asked]
    assert len({messages[0].text for messages in model.seen}) == 1
    assert "shipping-bbbb3" in model.seen[0][0].text
    assert [turn.parent for turn in turns] == ["", turns[0].id, turns[1].id]


def test_a_learned_entry_only_appends_to_the_system_text(app):
    model = says("one", "two")
    agent = agent_of(model, PlaybookMiddleware(app))
    ask(agent, "hello")
    learn(app, "new-eeee6", "Say the order number back.")
    ask(agent, "hello")
    first, second = (messages[0].text for messages in model.seen)
    assert second.startswith(first)
    assert "Say the order number back." in second


def test_feedback_on_a_turn_id_days_later_teaches_the_next_turn(app):
    model = says("No idea.", "ok")
    middleware = PlaybookMiddleware(app)
    agent = agent_of(model, middleware)
    turn_id = ask(agent, "Which carrier goes to Malta?")[TURN]
    learned = middleware.feedback(turn_id, truth="Postal Express")
    assert [delta.op for delta in learned.applied] == ["add"]
    assert isinstance(app.log.get(turn_id).feedback, Labelled)
    ask(agent, "Which carrier goes to Malta?")
    assert "Postal Express" in "".join(message.text for message in model.seen[1])


def test_feedback_given_twice_teaches_once(app):
    middleware = PlaybookMiddleware(app)
    turn_id = ask(agent_of(says("No idea."), middleware), "Which carrier goes to Malta?")[TURN]
    middleware.feedback(turn_id, truth="Postal Express")
    entries = len(app.store.playbook)
    middleware.feedback(turn_id, truth="Postal Express")
    assert len(app.store.playbook) == entries


def test_feedback_on_an_unknown_turn_is_an_error_by_name(app):
    with pytest.raises(UnknownTurn):
        PlaybookMiddleware(app).feedback("nothing", score=1.0)


def test_the_turn_in_the_log_says_who_asked_what_was_shown_and_what_it_cost(app):
    billed = {"input_tokens": 50, "output_tokens": 5, "total_tokens": 55}
    reply = AIMessage("Look at the purchase date of the refund.", usage_metadata=billed)
    middleware = PlaybookMiddleware(app, scope=lambda request: Scope(tenant="acme"))
    turn = app.log.get(ask(agent_of(says(reply), middleware), "refund?")[TURN])
    assert turn.request.scope.tenant == "acme"
    assert turn.request.query.text == "refund?"
    assert set(turn.context.refs) >= {name for name, _, _ in ENTRIES}
    assert turn.usage["answer"].input == 50
    assert turn.playbooks == (f"shop@{app.store.playbook.version}",)
    assert turn.answer.cited[0] == "refund-aaaa2"


def test_tools_that_do_not_fit_are_not_offered_and_the_one_that_fits_the_question_stays(app):
    model = says("ok")
    middleware = PlaybookMiddleware(app, tool_tokens=150)
    ask(agent_of(model, middleware, tools=[issue_refund, parcel_status]), "where is my parcel?")
    assert model.bound == [["parcel_status"]]


def test_all_tools_are_offered_in_their_order_where_they_fit(app):
    model = says("ok")
    ask(agent_of(model, PlaybookMiddleware(app), tools=[issue_refund, parcel_status]), "where is it?")
    assert model.bound == [["issue_refund", "parcel_status"]]


def test_a_source_that_the_settings_remove_is_not_asked(app):
    graph = app.settings.graph.model_copy(update={"without": ("playbook",)})
    without = open_app(app.path, encoder=HashingEmbedder())
    object.__setattr__(without, "settings", app.settings.model_copy(update={"graph": graph}))
    model = says("ok")
    ask(agent_of(model, PlaybookMiddleware(without)), "hello")
    assert model.seen[0][0].text == SYSTEM


def test_content_in_blocks_keeps_its_cache_marks(app):
    model = says("ok")
    block = {"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}
    agent = create_agent(
        model, middleware=[PlaybookMiddleware(app)], system_prompt=SystemMessage(content=[block])
    )
    ask(agent, "hello")
    content = model.seen[0][0].content
    assert content[0] == block
    assert "refund-aaaa2" in content[1]["text"]


async def test_awaited_it_sends_what_it_sends_when_called(app):
    called, awaited = (says(calling("parcel_status", order=7), "in Leipzig") for _ in range(2))
    ask(agent_of(called, PlaybookMiddleware(app), tools=[parcel_status]), "where is parcel 7?")
    agent = agent_of(awaited, PlaybookMiddleware(app), tools=[parcel_status])
    state = await agent.ainvoke({"messages": [HumanMessage("where is parcel 7?")]})
    assert [[m.text for m in seen] for seen in awaited.seen] == [
        [m.text for m in seen] for seen in called.seen
    ]
    turn = app.log.get(state[TURN])
    assert turn.steps[0].results[0].text == "parcel 7 is in Leipzig"
    assert turn.answer.text == "in Leipzig"


def test_a_failing_model_leaves_a_turn_that_says_so_and_raises(app):
    class Failing(Fake):
        def _generate(self, messages, *args, **kwargs):
            raise TimeoutError("no answer in 60 s")

    noted = []
    app = open_app(app.path, encoder=HashingEmbedder(), observers=[Noting(noted)])
    with pytest.raises(TimeoutError):
        ask(agent_of(Failing(responses=[]), PlaybookMiddleware(app)), "hello")
    assert [turn.error for turn in noted] == ["TimeoutError: no answer in 60 s"]


class Noting:
    """An observer that keeps turns."""

    def __init__(self, turns):
        self.turns = turns

    def observe(self, turn):
        self.turns.append(turn)


def test_a_run_repeated_on_its_thread_gets_the_same_turn_id(app):
    ids = set()
    for _ in range(2):
        agent = agent_of(says("ok"), PlaybookMiddleware(app), checkpointer=InMemorySaver())
        message = HumanMessage("hello", id="question-1")
        state = agent.invoke({"messages": [message]}, {"configurable": {"thread_id": "t"}})
        ids.add(state[TURN])
    assert len(ids) == 1


def test_importing_ctxeng_loads_no_langchain():
    code = "import ctxeng, sys; print([name for name in sys.modules if name.startswith('lang')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_without_langchain_the_import_names_the_extra():
    code = (
        "import importlib.util as u, sys\n"
        "real = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'langchain' else real(name, *a)\n"
        "import ctxeng_integrations.langchain"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtra" in found.stderr
    assert "pip install 'ctxeng-framework[langchain]'" in found.stderr
