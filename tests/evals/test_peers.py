"""Adapters of peers: each holds to the contract of a subject, and says so where its peer is not installed."""

import ast
import inspect
import json
from pathlib import Path

import pytest

from ctxeng.errors import BadInput, MissingExtra, UnknownName
from ctxeng.tokens import Estimate
from ctxeng_evals.case import Case, Dataset, Item
from ctxeng_evals.subjects.function import peer_subject

# what a peer warns of is its own business
pytestmark = pytest.mark.filterwarnings("ignore")

ROOT = Path(__file__).parents[2]
SUITES = ROOT / "evals" / "suites"
FILES = {file.stem: file for file in sorted((ROOT / "evals" / "peers").glob("[!_]*.py"))}
RANKERS = ("bm25s", "graph_tool_call", "langgraph_bigtool", "pydantic_ai_tool_search")
COMPACTORS = ("langchain_context_editing", "langchain_summarization", "langmem_short_term")
BUDGET = 60
ABOUT = {
    "get_weather": "Current weather and temperature of a city",
    "book_flight": "Book a seat on a flight between two airports",
    "cancel_order": "Cancel an order that was not shipped yet",
    "translate": "Translate a text into another language",
    "search_hotels": "Find hotels with free rooms in a city",
    "convert_currency": "Convert an amount of money into another currency",
}
SAID = [
    ("system", "You are an agent of an airline and follow its rules."),
    ("user", "Hello. I am Mia Li and want to change my flight. My number is mia_li_3668."),
    ("assistant", 'get_user({"id": "mia_li_3668"})'),
    ("tool", "Mia Li, gold member, reservation NO6JO3. " + "The seat is 12A. " * 8),
    ("assistant", "Which of your reservations is it? I see NO6JO3."),
    ("user", "That one. Please move it to the twentieth of May."),
    ("assistant", 'find_flights({"day": "05-20"})'),
    ("tool", "HAT001 leaves at nine. " * 6),
    ("assistant", "HAT001 leaves at nine."),
    ("user", "Take it."),
]
FACTS = ["The river Aare flows through Bern.", "Bern is a city.", "The Rhine is long.", "Cats sleep a lot."]


def tool(name, about):
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    function = {"name": name, "description": about, "parameters": parameters}
    shown = json.dumps({"type": "function", "function": function})
    return Item(id=f"id/{name}", text=f"{name}: {about} (city)", title=name, kind="tool", shown=shown)


TOOLS = tuple(tool(name, about) for name, about in ABOUT.items())
MESSAGES = tuple(
    Item(id=str(place), text=text, kind="message", role=role, title="lookup" if role == "tool" else "")
    for place, (role, text) in enumerate(SAID)
)
CHUNKS = tuple(Item(id=f"c{place}", text=text) for place, text in enumerate(FACTS))
DATASET = Dataset(
    "small",
    [
        Case(id="tools", question="What is the weather and temperature in Bern?", pool="tools"),
        Case(id="own-tools", question="What is the weather and temperature in Bern?", items=TOOLS),
        Case(id="messages", question="What is her number?", items=MESSAGES),
        Case(id="pooled-messages", question="What is her number?", pool="messages"),
        Case(id="chunks", question="Which river flows through Bern?", items=CHUNKS),
        Case(id="no-words", question="?!", items=CHUNKS),
        Case(id="empty", question="What?"),
    ],
    {"tools": TOOLS, "messages": MESSAGES},
)
CASES = {case.id: case for case in DATASET.cases}


def subject(name, **options):
    try:
        return peer_subject(name, SUITES, {"counter": "estimate", **options})
    except BadInput as error:
        if isinstance(error, UnknownName):
            raise
        pytest.skip(str(error))


def solver(name, **options):
    made = subject(name, **options)
    try:
        return made.open(DATASET)
    except MissingExtra as error:
        pytest.skip(str(error))


def cost(text):
    return Estimate().count(text) + 1


@pytest.mark.parametrize("name", FILES)
def test_an_adapter_keeps_the_contract_of_a_subject(name):
    before = [item.model_dump() for pool in DATASET.pools.values() for item in pool]
    solve, again = solver(name, budget=BUDGET), solver(name, budget=BUDGET)
    for case in DATASET.cases:
        copy = case.model_dump()
        bodies = {item.id: item.body for item in DATASET.items(case)}
        outcome = solve(case)
        assert solve(case) == again(case) == outcome
        assert case.model_dump() == copy
        assert len(set(outcome.selected)) == len(outcome.selected)
        assert outcome.selected == tuple(piece.ref for piece in outcome.window if piece.ref)
        assert set(outcome.selected) <= set(bodies)
        for piece in outcome.window:
            assert piece.source == name
            assert piece.tokens == cost(piece.text or bodies[piece.ref])
        assert outcome.tokens <= BUDGET
    assert [item.model_dump() for pool in DATASET.pools.values() for item in pool] == before


@pytest.mark.parametrize("name", FILES)
def test_a_shared_pool_gives_what_the_same_items_of_a_case_give(name):
    solve = solver(name, budget=BUDGET)
    for shared, own in (("tools", "own-tools"), ("pooled-messages", "messages")):
        assert solve(CASES[shared]) == solve(CASES[own])


@pytest.mark.parametrize("name", FILES)
def test_an_unknown_option_is_refused_by_name(name):
    made = subject(name, sizzle=3)
    with pytest.raises(BadInput, match="sizzle"):
        made.open(DATASET)


@pytest.mark.parametrize("name", FILES)
def test_an_unknown_counter_is_refused_with_those_there_are(name):
    made = subject(name, counter="guess")
    with pytest.raises(UnknownName, match=r"guess.*estimate"):
        made.open(DATASET)


@pytest.mark.parametrize("name", FILES)
def test_an_adapter_says_what_it_is_and_every_option_has_a_default(name):
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    assert "MIT" in (ast.get_docstring(tree) or "")
    [opened] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "open"]
    assert len(opened.args.args) == len(opened.args.defaults) + 1
    assert {"budget", "counter"} <= {each.arg for each in opened.args.args}


def test_every_adapter_is_of_one_kind():
    assert set(FILES) == {*RANKERS, *COMPACTORS}


def test_an_unknown_peer_is_refused_with_those_there_are():
    with pytest.raises(UnknownName) as caught:
        peer_subject("bm26s", SUITES, {})
    assert all(name in str(caught.value) for name in FILES)
    assert "_common" not in str(caught.value)


@pytest.mark.parametrize("name", RANKERS)
def test_a_ranker_puts_the_tool_that_is_asked_for_first_and_stops_at_the_count(name):
    outcome = solver(name, count=2)(CASES["tools"])
    assert outcome.selected[0] == "id/get_weather"
    assert len(outcome.selected) <= 2


@pytest.mark.parametrize("name", ["graph_tool_call", "pydantic_ai_tool_search"])
def test_tools_of_one_name_stay_apart(name):
    twins = (TOOLS[0], TOOLS[0].model_copy(update={"id": "other"}), *TOOLS[1:])
    made = subject(name, about="schema")
    outcome = made.open(Dataset("d", [], {}))(Case(id="1", question="weather temperature", items=twins))
    assert {"id/get_weather", "other"} <= set(outcome.selected)
    assert "about" in inspect.signature(made.module.open).parameters


@pytest.mark.parametrize("name", COMPACTORS)
def test_a_history_within_the_budget_is_left_as_it_is(name):
    outcome = solver(name, budget=10_000)(CASES["messages"])
    assert outcome.selected == tuple(item.id for item in MESSAGES if item.role != "system")


def test_context_editing_clears_the_oldest_tool_result_only():
    outcome = solver("langchain_context_editing", budget=200, keep=1)(CASES["messages"])
    assert [piece.text for piece in outcome.window if piece.text] == ["[cleared]"]
    assert outcome.selected == ("1", "2", "4", "5", "6", "7", "8", "9")


@pytest.mark.parametrize("name", ["langchain_summarization", "langmem_short_term"])
def test_a_summary_comes_first_and_its_model_is_billed(name):
    outcome = solver(name, budget=120, summary=0.4)(CASES["messages"])
    first, *others = outcome.window
    assert first.kind == "summary"
    assert "summary of the conversation" in first.text.lower()
    assert all(piece.ref for piece in others)
    assert outcome.usage["summarize"].output > 0


@pytest.mark.parametrize("name", COMPACTORS)
def test_a_budget_of_nothing_is_refused(name):
    made = subject(name, budget=0)
    with pytest.raises(BadInput, match="budget"):
        made.open(DATASET)
