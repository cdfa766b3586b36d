"""`ctxeng eval`: run, resume, compare, gate, report, list, data."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from small_suites import dataset

SUITE = {
    "suite": "boxes",
    "subjects": {"bm25": {"select": "bm25"}, "recency": {"select": "recency"}},
    "sweep": {"count": [1, 2]},
    "metrics": ["all_gold", "recall"],
    "counter": "estimate",
    "pass": [{"metric": "recall", "subject": "bm25", "at_least": 0.9}],
}


@pytest.fixture
def suite(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(**fields):
        path = tmp_path / "suite.yaml"
        path.write_text(yaml.safe_dump({**SUITE, "dataset": dataset(tmp_path), **fields}))
        return path

    return write


def test_a_suite_runs_and_leaves_figures_and_reports(cli, suite):
    ran = cli("eval", "run", suite())
    assert ran.code == 0, ran.err
    assert "bm25  count 1" in ran.out
    assert "pass  cases / bm25 / count=1: recall 1.000 >= 0.9" in ran.out
    folder = Path("runs/boxes")
    names = ("run.json", "results.jsonl", "summary.json", "report.html", "report.md", "junit.xml")
    assert all((folder / name).stat().st_size for name in names)


def test_json_says_everything_and_nothing_else(cli, suite):
    ran = cli("eval", "run", suite(), "--json", "--no-report", "--limit", "3")
    assert ran.json["ok"]
    assert ran.json["summary"]["columns"][0]["cases"] == 3
    assert not Path("runs/boxes/report.html").exists()


def test_a_criterion_that_is_not_fulfilled_is_exit_code_1(cli, suite):
    ran = cli("eval", "run", suite(**{"pass": [{"metric": "recall", "subject": "recency", "at_least": 2}]}))
    assert ran.code == 1
    assert "FAIL  cases / recency" in ran.out


def test_a_failed_case_is_shown_and_can_be_run_again(cli, suite, tmp_path):
    flag = tmp_path / "flag"
    given = {"python": "small_suites:fails_once", "with": {"flag": str(flag)}, "sweep": {}}
    path = suite(subjects={"s": given}, metrics=["exact"], **{"pass": []})
    ran = cli("eval", "run", path)
    assert ran.code == 1
    assert "failed: c5: RuntimeError: not yet" in ran.out
    flag.touch()
    assert cli("eval", "run", path, "--rerun-failed").code == 0


def test_compare_says_which_differences_are_real(cli, suite):
    cli("eval", "run", suite(), "--out", "a", "--no-report")
    subjects = {"bm25": {"select": "recency"}, "recency": {"select": "recency"}}
    cli("eval", "run", suite(subjects=subjects), "--out", "b", "--no-report")
    found = cli("eval", "compare", "a", "b", "--json", "--html", "diff.html").json
    real = {(row["column"], row["metric"]) for row in found if row["real"]}
    assert real == {("cases / bm25 / count=1", "all_gold"), ("cases / bm25 / count=1", "recall")}
    assert "count=1" in cli("eval", "compare", "a", "b").out
    assert Path("diff.html").stat().st_size


def test_the_gate_passes_equal_figures_and_names_worse_ones(cli, suite):
    cli("eval", "run", suite(), "--save-baseline", "base.json", "--no-report")
    assert cli("eval", "gate", "runs/boxes", "--baseline", "base.json").code == 0
    subjects = {"bm25": {"select": "recency"}, "recency": {"select": "recency"}}
    cli("eval", "run", suite(subjects=subjects), "--out", "worse", "--no-report")
    ran = cli("eval", "gate", "worse", "--baseline", "base.json")
    assert ran.code == 1
    assert "cases / bm25 / count=1: recall: 1.000 -> 0.000" in ran.out
    assert cli("eval", "gate", "worse", "--baseline", "none.json").code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "nothing"], "unknown suite 'nothing'; known: "),
        (["run", "nothing.yaml"], "no such suite"),
        (["run", "suite.yaml", "--engine", "cloud"], "--engine cloud: one of threads"),
        (["run", "suite.yaml", "--columns", "x"], "no column is like 'x'"),
        (["compare", "a", "b"], "no run in this folder"),
        (["report", "a"], "no run in this folder"),
        (["gate", "a"], "no run in this folder"),
        (["data", "check", "nothing"], "unknown dataset 'nothing'; known: "),
    ],
)
def test_bad_input_is_named_with_the_way_out(cli, suite, arguments, said):
    suite()
    ran = cli("eval", *arguments)
    assert ran.code == 2
    assert said in ran.err


def test_fresh_deletes_runs_only(cli, suite, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    ran = cli("eval", "run", suite(), "--out", "mine", "--fresh")
    assert ran.code == 2
    assert (tmp_path / "mine" / "letter.txt").exists()
    assert cli("eval", "run", suite(), "--no-report").code == 0
    assert cli("eval", "run", suite(), "--fresh", "--no-report", "--limit", "2").code == 0


def test_what_there_is_can_be_listed(cli):
    found = cli("eval", "list", "--json").json
    assert "multihop-evidence" in found["suites"]
    assert "needles" in found["generators"]
    assert "hotpotqa" in found["datasets"]
    assert "ndcg@k" in found["metrics"]
    assert "metatool" in cli("eval", "data", "list").out
    assert cli("eval", "schema").json["properties"]["suite"]


def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(suite, tmp_path):
    subjects = {"s": {"python": "small_suites:slow", "with": {"seconds": 0.2}, "sweep": {}}}
    path = suite(subjects=subjects, metrics=["exact"], workers=1, **{"pass": []})
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
    command = [sys.executable, "-m", "ctxeng.cli.main", "eval", "run", str(path), "--no-report"]
    job = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    results = tmp_path / "runs" / "boxes" / "results.jsonl"
    end = time.monotonic() + 60
    while time.monotonic() < end and not (results.exists() and results.stat().st_size):
        time.sleep(0.05)
    job.send_signal(signal.SIGINT)
    _, said = job.communicate(timeout=60)
    assert job.returncode == 130
    assert "interrupted" in said
    done = len(results.read_text().splitlines())
    assert 0 < done < 12
    subprocess.run(command, env=environment, check=True, cwd=tmp_path, capture_output=True)
    slots = [json.loads(line)["slot"] for line in results.read_text().splitlines()]
    assert slots == list(range(12))


def test_a_terminal_sees_progress_with_its_rate(suite, tmp_path):
    subjects = {"s": {"python": "small_suites:slow", "with": {"seconds": 0.2}, "sweep": {}}}
    path = suite(subjects=subjects, metrics=["exact"], workers=1, **{"pass": []})
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
    ours, theirs = pty.openpty()
    job = subprocess.Popen(
        [sys.executable, "-m", "ctxeng.cli.main", "eval", "run", str(path), "--no-report"],
        env={**environment, "TERM": "xterm-256color", "COLUMNS": "100"},
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        cwd=tmp_path,
    )
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):  # the end of a terminal is an error
        while piece := os.read(ours, 4096):
            said += piece
    os.close(ours)
    assert job.wait(timeout=60) == 0, said.decode(errors="replace")
    assert b"/12" in said
    assert b"cases/s" in said
