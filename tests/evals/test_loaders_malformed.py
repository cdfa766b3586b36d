"""Malformed records are named by file and place, and counted; none is skipped in silence."""

import gzip
import re
import shutil

import pytest

from ctxeng.errors import BadInput, UnknownName
from ctxeng_evals.case import Case, Dataset, Item
from ctxeng_evals.loaders import read
from ctxeng_evals.registry import entries, load
from loaded import at_lines, swap


@pytest.fixture
def broken(data, tmp_path, monkeypatch):
    """Copies one dataset's files; what it gives changes a file of the copy."""
    monkeypatch.setenv("CTXENG_DATA", str(tmp_path))

    def change(path, edit):
        name = path.partition("/")[0]
        shutil.copytree(data / name, tmp_path / name, dirs_exist_ok=True)
        (tmp_path / path).write_bytes(edit((tmp_path / path).read_bytes()))

    return change


def test_a_malformed_line_is_named_by_file_and_number(broken):
    broken("gsm8k/train_first1000.jsonl", at_lines(7, of=lambda _: b"{not json"))
    with pytest.raises(BadInput, match=r"gsm8k/train_first1000.jsonl:7: not JSON"):
        load("gsm8k")


def test_all_malformed_lines_are_counted_and_ten_are_listed(broken):
    broken("hotpotqa/dev_98.jsonl", at_lines(*range(3, 17)))
    with pytest.raises(BadInput, match=r"^14 malformed records") as caught:
        load("hotpotqa:dev")
    told = str(caught.value).splitlines()
    assert told[1] == "hotpotqa/dev_98.jsonl:3: no field 'context'"
    assert told[10].startswith("hotpotqa/dev_98.jsonl:12:")
    assert told[11:] == ["(and 4 more)"]


WIKI = swap(b'"supporting_facts": [["', b'"supporting_facts": [["No ')


SPAN = swap(b'"relevant_text_span": [["459"', b'"relevant_text_span": [["99459"')


MALFORMED = {
    "2wikimultihop/dev_500.jsonl": (at_lines(2, of=WIKI), ":2: no paragraph 'No "),
    "musique/train_100.jsonl": (at_lines(2), ":2: no field 'paragraphs'"),
    "qmsum/val.jsonl": (SPAN, ":1: a span from 99459 to 530"),
    "bfcl-memory/possible_answer.json": (at_lines(1), ":1: no field 'id'"),
    "bfcl-multi-turn/func_doc/math_api.json": (at_lines(2), ":2: no field 'name'"),
    "ace-finance/finer_val_first250.jsonl": (
        at_lines(9, of=lambda line: line.replace(b",", b";")),
        ":9: not JSON",
    ),
    "metatool/all_clean_data.csv": (
        at_lines(3, of=lambda _: b"A query,NoSuchTool"),
        ":3: no such tool: NoSuchTool",
    ),
    "game24/24.csv": (at_lines(5, of=swap(b"1 1 1 8", b"1 1 1")), ":5: no four numbers: '1 1 1'"),
    "toolbench-solvable/queries.jsonl": (
        at_lines(1, of=lambda line: line.replace(b"Transfermarkt", b"Marktransfer")),
        ":1: no such tool: Data/TheClique/Marktransfer search",
    ),
    "dynamic-cheatsheet/equation_balancer_tasks.jsonl": (at_lines(8, of=lambda _: b""), ":8: not JSON"),
    "tau-bench-airline/gpt-4o_trials0-1.jsonl": (
        at_lines(4, of=swap(b'"traj"', b'"path"')),
        ":4: no field 'traj'",
    ),
    "mcp-catalogues/github-mcp-server.jsonl": (at_lines(6, of=lambda _: b"[]"), ":6: "),
    "babi/qa1_single-supporting-fact_train.txt": (
        at_lines(3, of=swap(b"\t1", b"\t9")),
        ":3: supporting lines",
    ),
    "strategyqa/dev.json": (
        swap(b'"answer": false', b'"answer": "no"'),
        ": record 1: answer: neither true nor false",
    ),
    "bbh/navigate.json": (swap(b'"target"', b'"goal"'), ": record 1: no field 'target'"),
    "beam-100k/1/chat.json": (lambda raw: raw[:-9], ": not JSON"),
    "tatqa/tatqa_dataset_dev.json": (swap(b'"paragraphs"', b'"pages"'), ": record 1: no field 'paragraphs'"),
    "kv-retrieval/kv-retrieval-75_keys.jsonl.gz": (
        lambda raw: gzip.compress(at_lines(2)(gzip.decompress(raw)), 1),
        ":2: no field 'ordered_kv_records'",
    ),
    "swe-agent-trajectories/ctf_rev_rock.traj": (swap(b'"history"', b'"past"'), ": no field 'history'"),
    "reflexion-alfworld/env_results_trial_4.json": (
        swap(b'"memory"', b'"notes"'),
        ": record 1: no field 'memory'",
    ),
    "gutenberg/moby-dick.txt": (lambda raw: b"\xff" + raw, ": not UTF-8"),
}


@pytest.mark.parametrize("path", MALFORMED)
def test_what_is_malformed_is_named_by_file_and_place(broken, path):
    edit, said = MALFORMED[path]
    broken(path, edit)
    with pytest.raises(BadInput, match=re.escape("/".join(path.split("/")[-2:]) + said)):
        load(path.partition("/")[0])


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (at_lines(1, of=lambda _: b"Query,Plugin"), "all_clean_data.csv:1: no column Tool"),
        (at_lines(4, of=lambda _: b"only a query"), "all_clean_data.csv:4: more or fewer fields"),
        (at_lines(4, of=lambda _: b"a,b,c"), "all_clean_data.csv:4: more or fewer fields"),
    ],
)
def test_a_table_of_another_shape_is_named(broken, edit, said):
    broken("metatool/all_clean_data.csv", edit)
    with pytest.raises(BadInput, match=said):
        load("metatool")


def test_a_cut_archive_is_named(broken):
    broken("kv-retrieval/kv-retrieval-75_keys.jsonl.gz", lambda raw: raw[:1000])
    with pytest.raises(BadInput, match="not a whole gzip file"):
        load("kv-retrieval")


def test_malformed_records_of_a_document_are_counted(broken):
    broken("tatqa/tatqa_dataset_dev.json", swap(b'"paragraphs"', b'"pages"', 12))
    with pytest.raises(BadInput, match=r"^12 malformed records(.|\n)*and 2 more"):
        load("tatqa")


def test_an_answer_that_is_not_there_is_named_at_its_question(broken):
    broken("bfcl-memory/possible_answer.json", swap(b"memory_0-customer-0", b"memory_0-nobody-0"))
    with pytest.raises(BadInput, match=r"BFCL_v4_memory.json:1: .*no answer to memory_0-customer-0"):
        load("bfcl-memory")


def test_a_missing_file_is_told_with_the_way_out(broken, tmp_path):
    broken("game24/24.csv", lambda raw: raw)
    (tmp_path / "game24" / "24.csv").unlink()
    with pytest.raises(BadInput, match=r"game24/24.csv: cannot be read.*CTXENG_DATA"):
        load("game24")


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (Case(id="1", question="?", gold=("b",)), "case 1: no item has the gold id b"),
        (Case(id="1", question="?", pool="q"), "case 1: there is no pool 'q'"),
        (Case(id="1", question="?", items=(Item(id="b", text="x"),) * 2), "case 1: several items"),
        (Case(id="1", question="?", pool="p", items=(Item(id="a", text="x"),)), "case 1: an item's id is in"),
    ],
)
def test_a_case_that_does_not_hold_together_is_named(case, said):
    with pytest.raises(BadInput, match=said):
        read.checked(Dataset("made", (case,), {"p": (Item(id="a", text="x"),)}))


def test_two_cases_of_one_id_are_refused():
    case = Case(id="1", question="?")
    with pytest.raises(BadInput, match="another case has this id"):
        read.checked(Dataset("made", (case, case)))


def test_every_other_part_is_refused_by_name(data, monkeypatch):
    monkeypatch.setenv("CTXENG_DATA", str(data))
    for name in entries():
        with pytest.raises(UnknownName, match=f"part of {name}"):
            load(f"{name}:nothing")
