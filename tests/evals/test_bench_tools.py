"""The bench of tools and the ranker as a subject, on a catalogue small enough to check by hand."""

import json

import pytest

from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.tokens import Estimate
from ctxeng.tools.policy import SlidingWindow
from ctxeng.tools.rank import ToolRanker
from ctxeng.tools.simulate import Asked, summary
from ctxeng_evals import registry
from ctxeng_evals.bench.tools import Last, Never, Plan, catalogue_of, replayed, rows_of
from ctxeng_evals.case import Case, Dataset, Item
from ctxeng_evals.subjects.tools import ToolsSubject, tool_of


def item(name, about, source="shop"):
    shown = json.dumps({"function": {"name": f"x_{name}", "description": about, "parameters": {}}})
    return Item(id=f"{source}/{name}", text=about, title=name, source=source, kind="tool", shown=shown)


ITEMS = (
    item("refund", "pay an order back"),
    item("track", "where a parcel is"),
    item("forecast", "weather of the next days", "sky"),
    item("alarm", "warns of storms", "sky"),
)
CASES = (
    Case(id="1", question="weather of the next days", pool="tools", gold=("sky/forecast",), group="a"),
    Case(id="2", question="where is my parcel", pool="tools", gold=("shop/track",), group="a"),
)


def dataset(cases=CASES, name="small"):
    return Dataset(name=name, cases=cases, pools={"tools": ITEMS})


def test_an_item_is_a_tool_under_its_own_name_of_its_server():
    found = tool_of(ITEMS[0])
    assert (found.name, found.server, found.description) == ("refund", "shop", "pay an order back")
    assert tool_of(item("solo", "alone", "").model_copy(update={"id": "solo", "source": "solo"})).server == ""


def test_the_ranker_puts_the_gold_first():
    solve = ToolsSubject(ToolRanker(), Estimate(), 1).open(dataset())
    assert [solve(case).selected for case in CASES] == [("sky/forecast",), ("shop/track",)]
    assert all(piece.tokens > 0 for piece in solve(CASES[0]).window)


def test_labelled_requests_teach_it_but_never_the_case_itself(monkeypatch):
    other = Case(id="9", question="is it wet outside", pool="tools", gold=("sky/alarm",), group="b")
    taught = dataset((*CASES, other), "taught")
    monkeypatch.setattr(registry, "load", lambda _: taught)
    subject = ToolsSubject(ToolRanker(), Estimate(), 1, HashingEmbedder(), learn="taught")
    asked = Case(id="10", question="is it wet outside today", pool="tools", gold=("sky/alarm",), group="c")
    assert subject.open(dataset((asked,)))(asked).selected == ("sky/alarm",)
    same = Case(id="11", question=other.question, pool="tools", gold=("sky/alarm",), group="c")
    only = dataset((same,))
    monkeypatch.setattr(registry, "load", lambda _: dataset((other,), "taught"))
    assert subject.open(only)(same).selected != ("sky/alarm",)


def test_plans_are_replayed_and_their_figures_named():
    catalogue, names = catalogue_of(dataset(), None)
    asked = [
        Asked(request=case.question, needs=tuple(names[gold] for gold in case.gold), session=case.group)
        for case in CASES
    ]
    plans = [
        Plan("ours", SlidingWindow(), 1),
        Plan("never", Never(1), 9, learn=False),
        Plan("last", Last(1, 1), 9),
    ]
    found = {plan.name: summary(replayed(catalogue, plan, asked, None)) for plan in plans}
    assert {name: each.present for name, each in found.items()} == {"ours": 1.0, "never": 1.0, "last": 1.0}
    assert {name: each.loaded for name, each in found.items()} == {"ours": 1.0, "never": 1.5, "last": 1.0}
    rows = {row.name: row.value for row in rows_of(plans[1], found["never"])}
    assert rows["never: present"] == pytest.approx(100)
    assert rows["never: removed over added, 3 turns"] == 0
