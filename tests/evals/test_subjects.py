"""Subjects: selections within their budget, sources, whole apps, learning apps that resume, functions."""

import json
import shutil

import pytest

from ctxeng.errors import BadInput
from ctxeng.tokens import Estimate
from ctxeng_evals.case import Case, Dataset, Item
from ctxeng_evals.log import ResultLog
from ctxeng_evals.subjects.select import Select
from small_suites import LINES, dataset, plan, results, run

APP = """\
ctxeng: 1
playbook: app
models: {answer: "onbox:hashing"}
learning: {origin: trusted, judge: exact}
"""
TOPICS = {
    "billing": "the invoice was charged twice",
    "login": "the password reset mail never came",
    "shipping": "the parcel arrived broken",
}
STREAM = [
    {
        "id": f"t{number}",
        "question": f"Ticket {number}: {list(TOPICS.values())[number % 3]}",
        "choices": ["a", "b", "c"],
        "target": "abc"[number % 3],
        "group": f"g{number // 3}",
    }
    for number in range(18)
]


def app(folder, lines=STREAM, **options):
    (folder / "app.yaml").write_text(APP)
    return plan(
        folder,
        dataset=dataset(folder, lines),
        subjects={"app": {"app": "app.yaml", "with": options}},
        metrics=["exact", "prefix", "tokens"],
    )


def scores(out, name="exact"):
    return [record["scores"].get(name) for record in ResultLog(out).records()]


@pytest.mark.parametrize("method", ["bm25", "recency", "first", "random", "oracle", "full"])
def test_a_selection_stays_within_its_budget_and_says_the_same_twice(method):
    items = tuple(Item(id=str(i), text=f"word{i} " * (1 + i % 7)) for i in range(30))
    case = Case(id="1", question="word3 word9", items=items, gold=("9",))
    select = Select(method, Estimate(), budget=25)
    solve = select.open(Dataset("d", [case]))
    outcome = solve(case)
    assert 0 < outcome.tokens <= 25
    assert solve(case) == outcome
    assert len(set(outcome.selected)) == len(outcome.selected)


def test_a_pools_index_gives_what_the_same_items_of_a_case_give():
    items = tuple(Item(id=str(i), text=f"alpha{i % 5} beta{i % 3} gamma{i}") for i in range(20))
    own = Case(id="1", question="alpha2 gamma7", items=items)
    shared = Case(id="1", question="alpha2 gamma7", pool="p")
    select = Select("bm25", Estimate(), count=5)
    assert select.open(Dataset("d", [own]))(own) == select.open(Dataset("d", [shared], {"p": items}))(shared)


def test_scores_per_token_prefer_the_short_of_two_equals():
    items = (Item(id="long", text="invoice " + "filler " * 60), Item(id="short", text="invoice"))
    case = Case(id="1", question="invoice", items=items)
    plain, cheap = (
        Select("bm25", Estimate(), count=1, per_cost=cost).open(Dataset("d", [case]))(case)
        for cost in (0.0, 1.0)
    )
    assert cheap.selected == ("short",)
    assert len(plain.selected) == 1


def test_ctxengs_own_sources_are_subjects(tmp_path):
    made = plan(tmp_path, subjects={"chunks": {"source": "chunks", "with": {"budget": 60}}})
    run(made, tmp_path / "run")
    records = list(ResultLog(tmp_path / "run").records())
    assert all(record["spent"]["chunks"] <= 60 for record in records)
    assert scores(tmp_path / "run", "all_gold") == [1.0] * 12


def test_an_app_answers_cases_and_its_playbook_stays_as_it_was(tmp_path):
    made = app(tmp_path)
    before = (tmp_path / "app.yaml").read_bytes()
    assert run(made, tmp_path / "run").failed == 0
    assert (tmp_path / "app.yaml").read_bytes() == before
    assert not list(tmp_path.glob("app.yaml.*"))
    window = next(ResultLog(tmp_path / "run").records())["window"]
    assert {piece[0] for piece in window} >= {"request"}


def test_an_app_that_learns_gets_better_on_a_copy_of_its_playbook(tmp_path):
    made = app(tmp_path, learn=True)
    run(made, tmp_path / "run")
    found = scores(tmp_path / "run")
    assert sum(found[9:]) > sum(found[:3]) * 3
    assert (tmp_path / "app.yaml").read_text() == APP


def test_labels_of_a_group_come_out_after_its_last_case(tmp_path):
    twins = [
        {**line, "id": f"x{i}", "question": "the same words", "target": "c"}
        for i, line in enumerate(STREAM[:6])
    ]
    run(app(tmp_path, twins, learn=True), tmp_path / "run")
    found = scores(tmp_path / "run")
    assert len(set(found[:3])) == 1  # nothing was learned inside the first group
    assert found[3:] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("kept", [1, 7, 8, 17])
def test_a_learning_run_goes_on_to_the_same_end_wherever_it_was_cut(tmp_path, kept):
    made = app(tmp_path, learn=True)
    run(made, tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    (tmp_path / "cut" / "summary.json").unlink()
    lines = results(tmp_path / "whole").splitlines(keepends=True)
    (tmp_path / "cut" / "results.jsonl").write_bytes(b"".join(lines[:kept]))
    assert run(made, tmp_path / "cut").complete
    assert results(tmp_path / "cut") == results(tmp_path / "whole")


def test_learning_and_repeats_exclude_each_other(tmp_path):
    (tmp_path / "app.yaml").write_text(APP)
    subjects = {"app": {"app": "app.yaml", "with": {"learn": True}}}
    with pytest.raises(BadInput, match="repeats"):
        run(plan(tmp_path, subjects=subjects, metrics=["exact"], repeats=2), tmp_path / "run")


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ({"select": "magic"}, "unknown selection 'magic'; known: bm25"),
        ({"select": "bm25", "with": {"budgt": 5}}, "cases / s: budgt: Extra inputs"),
        ({"source": "chunks"}, "cases / s: budget: Field required"),
        ({"peer": "nobody"}, "unknown peer 'nobody'"),
        (
            {"python": "small_suites:target", "with": {"x": 1}},
            "target: got an unexpected keyword argument 'x'",
        ),
        ({"python": "small_suites"}, "unknown function"),
        ({"app": "gone.yaml"}, "gone.yaml: no such file"),
    ],
)
def test_a_wrong_subject_is_named(tmp_path, subject, said):
    with pytest.raises(BadInput, match=said):
        run(plan(tmp_path, subjects={"s": subject}), tmp_path / "run")


def test_a_function_may_return_ids_an_answer_or_an_outcome(tmp_path):
    subjects = {name: {"python": f"small_suites:{name}"} for name in ("target", "ids")}
    run(plan(tmp_path, subjects=subjects, metrics=["exact", "recall"], limit=1), tmp_path / "run")
    answer, ids = ResultLog(tmp_path / "run").records()
    assert answer["answer"] == LINES[0]["target"]
    assert json.dumps(ids["window"]) == '[["function", "chunk", "g0", 0]]'
    assert ids["scores"]["recall"] == 1.0
