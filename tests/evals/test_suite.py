"""A suite's file is checked whole, and every fault has its place."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from ctxeng.errors import BadInput
from ctxeng_evals.folders import shipped, suite_file
from ctxeng_evals.sources import read_cases
from ctxeng_evals.suite import json_schema, read_suite

GOOD = "suite: s\ndataset: metatool\nsubjects:\n  a: {select: bm25}\nmetrics: [recall]\n"
SUITES = Path(__file__).parents[2] / "evals" / "suites"


def write(folder, text):
    path = folder / "s.yaml"
    path.write_text(text)
    return path


def test_a_small_file_is_a_suite(tmp_path):
    suite = read_suite(write(tmp_path, GOOD))
    assert suite.dataset.name == "metatool"
    assert suite.subjects["a"].kind == "select"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[recall]", "[recal]", r"s.yaml:5:10: metrics: unknown metric 'recal'; known: .*twin_changed"),
        ("[recall]", "[]", r"s.yaml:5:10: metrics: List should have at least 1 item"),
        ("{select: bm25}", "{select: bm25, app: b}", r"s.yaml:4:6: subjects.a: a subject has exactly one of"),
        ("{select: bm25}", "{selct: bm25}", r"s.yaml:4:14: subjects.a.selct: Extra inputs"),
        ("dataset: metatool\n", "", "either one `dataset` or several"),
        ("metatool", "{generator: kv, name: x}", r"s.yaml:2:10: dataset: a dataset has exactly one of"),
        ("suite: s", "suite: ../s", r"s.yaml:1:8: suite: String should match"),
        ("subjects:", "pass: [{metric: recall, subject: b, at_least: 1}]\nsubjects:", "no subject 'b'"),
        ("subjects:", "pass: [{metric: recall, subject: a}]\nsubjects:", "needs at_least, at_most"),
        ("subjects:", "pass: [{metric: mrr, subject: a, at_most: 1}]\nsubjects:", "not one of the suite's"),
        ("subjects:", "engine: cloud\nsubjects:", r"s.yaml:3:9: engine: Input should be"),
        ("subjects:", "subjects: {", r"s.yaml:\d+:\d+: "),
    ],
)
def test_a_fault_is_named_with_line_and_column(tmp_path, old, new, said):
    with pytest.raises(BadInput, match=said):
        read_suite(write(tmp_path, GOOD.replace(old, new)))


def test_the_json_schema_accepts_what_is_shipped_and_refuses_what_is_not_a_suite():
    schema = json_schema()
    for path in SUITES.glob("*.yaml"):
        jsonschema.validate(yaml.safe_load(path.read_text()), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"suite": "s", "metrics": ["recall"]}, schema)


def test_shipped_suites_are_found_by_name_and_say_what_they_are_about():
    assert {"multihop-evidence", "tool-retrieval", "dialogue-memory", "finer-learning"} <= set(shipped())
    assert all(read_suite(path).about for path in shipped().values())
    with pytest.raises(BadInput, match=r"known: .*multihop-evidence"):
        suite_file("nothing")
    with pytest.raises(BadInput, match="no such suite"):
        suite_file("nothing.yaml")


def test_cases_and_tasks_are_read_from_lines(tmp_path):
    path = tmp_path / "c.jsonl"
    case = {"question": "q", "items": [{"id": "a", "text": "t"}], "gold": ["a"]}
    task = {"question": "q", "documents": ["one", "two"], "target": "x", "id": "t"}
    path.write_text(json.dumps(case) + "\n\n" + json.dumps(task) + "\n")
    first, second = read_cases(path)
    assert (first.id, first.gold) == ("line-1", ("a",))
    assert [item.text for item in second.items] == ["one", "two"]


def test_every_bad_line_is_counted_and_the_first_ones_are_named(tmp_path):
    path = tmp_path / "c.jsonl"
    lines = ['{"question": "q", "id": "a"}', '{"question": "q", "id": "a"}', "{", '{"frage": 1}', "[]"]
    path.write_text("\n".join([*lines, *["nothing"] * 20]))
    with pytest.raises(BadInput) as caught:
        read_cases(path)
    said = str(caught.value)
    assert "24 bad lines" in said
    assert "c.jsonl:2: the id 'a' is given twice" in said
    assert "c.jsonl:3: not usable JSON" in said
    assert "and 14 more" in said
