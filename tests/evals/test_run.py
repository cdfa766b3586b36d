"""Runs keep their order, survive kills, stop at limits, and never turn a failure into a score."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from ctxeng.errors import BadInput
from ctxeng_evals import metrics
from ctxeng_evals.log import ResultLog
from ctxeng_evals.run import Run
from small_suites import LINES, dataset, plan, results, run

HELPERS = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
FUNCTION = {"python": "small_suites:slow"}


def test_results_stand_in_the_order_of_cases_with_columns_in_turns(tmp_path):
    made = plan(tmp_path)
    finished = run(made, tmp_path / "run")
    records = list(ResultLog(tmp_path / "run").records())
    assert finished.complete
    assert [record["slot"] for record in records] == list(range(24))
    assert [record["case"] for record in records[:4]] == ["c0", "c0", "c1", "c1"]
    assert records[0]["scores"]["all_gold"] == 1.0


@pytest.mark.parametrize(("engine", "workers"), [("threads", 1), ("threads", 4), ("processes", 2)])
def test_engines_and_numbers_of_workers_give_the_same_bytes(tmp_path, engine, workers):
    subjects = {"bm25": {"select": "bm25"}, "slow": FUNCTION}
    run(plan(tmp_path, subjects=subjects, workers=1), tmp_path / "one")
    run(plan(tmp_path, subjects=subjects, engine=engine, workers=workers), tmp_path / "other")
    assert results(tmp_path / "other") == results(tmp_path / "one")


def test_a_subject_that_raises_is_a_failed_case_and_no_zero(tmp_path):
    made = plan(tmp_path, subjects={"s": {"python": "small_suites:fails_sometimes"}}, metrics=["exact"])
    finished = run(made, tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    (column,) = summary["columns"]
    assert finished.failed == column["failed"] == 1
    assert column["metrics"]["exact"]["n"] == 11
    assert column["metrics"]["exact"]["mean"] == pytest.approx(10 / 11)
    failed = [record for record in ResultLog(tmp_path / "run").records() if "error" in record]
    assert failed[0]["error"] == "RuntimeError: out of paper"


def test_a_metric_that_crashes_is_a_failed_case(tmp_path, monkeypatch):
    def broken(seen):
        raise ZeroDivisionError("by zero")

    crashing = metrics.Metric("exact", broken)
    monkeypatch.setattr(metrics, "METRICS", {**metrics.METRICS, "exact": crashing})
    run(plan(tmp_path, metrics=["exact"], limit=2), tmp_path / "run")
    errors = {record["error"] for record in ResultLog(tmp_path / "run").records()}
    assert errors == {"metric exact: ZeroDivisionError: by zero"}


def test_failed_cases_can_be_run_again_and_their_later_line_counts(tmp_path):
    flag = tmp_path / "flag"
    subjects = {"s": {"python": "small_suites:fails_once", "with": {"flag": str(flag)}}}
    made = plan(tmp_path, subjects=subjects, metrics=["exact"])
    assert run(made, tmp_path / "run").failed == 1
    flag.touch()
    assert Run(made, tmp_path / "run").again() == 1
    records = list(ResultLog(tmp_path / "run").records())
    assert len(records) == 12
    assert not any("error" in record for record in records)
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["columns"][0]["failed"] == 0


@pytest.mark.parametrize(
    ("limits", "subject", "said"),
    [
        ({"failures": 0}, "small_suites:fails_sometimes", "more than 0 cases failed"),
        ({"seconds": 0.001}, "small_suites:slow", "seconds is reached"),
    ],
)
def test_a_limit_stops_a_run_that_a_higher_one_lets_go_on(tmp_path, limits, subject, said):
    subjects = {"s": {"python": subject}}
    stopped = run(plan(tmp_path, subjects=subjects, limits=limits, workers=1), tmp_path / "run")
    assert said in stopped.stopped
    assert 0 < stopped.done < 12
    assert not (tmp_path / "run" / "summary.json").exists()
    assert run(plan(tmp_path, subjects=subjects, workers=1), tmp_path / "run").complete


def test_a_folder_of_another_suite_is_not_written_into(tmp_path):
    run(plan(tmp_path), tmp_path / "run")
    with pytest.raises(BadInput, match="--fresh"):
        run(plan(tmp_path, limit=3), tmp_path / "run")
    dataset(tmp_path, LINES[:5])
    with pytest.raises(BadInput, match="other cases or options"):
        run(plan(tmp_path, dataset={"jsonl": "cases.jsonl"}), tmp_path / "run")


def test_a_torn_last_line_is_done_again(tmp_path):
    made = plan(tmp_path)
    run(made, tmp_path / "run")
    whole = results(tmp_path / "run")
    for cut in (1, 40, 300, len(whole) - 5):
        (tmp_path / "run" / "results.jsonl").write_bytes(whole[:cut])
        assert run(made, tmp_path / "run").complete
        assert results(tmp_path / "run") == whole


def test_a_damaged_line_is_named(tmp_path):
    made = plan(tmp_path)
    run(made, tmp_path / "run")
    path = tmp_path / "run" / "results.jsonl"
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], b"garbage", *lines[2:]]))
    with pytest.raises(BadInput, match=r"results.jsonl:2: no result"):
        run(made, tmp_path / "run")


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_file(tmp_path):
    script = textwrap.dedent(
        """
        import pathlib, sys
        from small_suites import plan, run
        folder, out, at, flag = map(pathlib.Path, sys.argv[1:])
        given = {"python": "small_suites:kills", "with": {"at": str(at), "flag": str(flag)}}
        made = plan(folder, subjects={"s": given, "bm25": {"select": "bm25"}}, workers=1)
        run(made, out)
        """
    )
    kept = []
    for number, at in enumerate(("none", "c1", "c7", "c11")):
        flag, out = tmp_path / f"flag{number}", tmp_path / f"out{number}"
        command = [sys.executable, "-c", script, tmp_path, out, at, flag]
        first = subprocess.run(command, check=False, env=HELPERS)
        assert first.returncode == (0 if at == "none" else -9)
        subprocess.run(command, check=True, env=HELPERS)
        kept.append([{**record, "slot": record["slot"]} for record in ResultLog(out).records()])
    assert kept[1] == kept[2] == kept[3] == kept[0]


def test_a_folder_in_which_nothing_was_done_yet_can_be_another_suites(tmp_path):
    with pytest.raises(BadInput, match="unknown function"):
        run(plan(tmp_path, subjects={"s": {"python": "nowhere:f"}}), tmp_path / "run")
    assert run(plan(tmp_path), tmp_path / "run").complete


def test_a_run_of_no_case_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no case of cases is like 'zzz'"):
        run(plan(tmp_path, only="zzz"), tmp_path / "run")


def test_only_and_columns_narrow_a_run(tmp_path):
    made = plan(tmp_path, only="c1*", columns_like="*bm25*")
    run(made, tmp_path / "run")
    records = list(ResultLog(tmp_path / "run").records())
    assert [record["case"] for record in records] == ["c1", "c10", "c11"]
    with pytest.raises(BadInput, match="there are: cases / bm25; cases / recency"):
        _ = plan(tmp_path, columns_like="nothing").columns


def test_repeats_are_runs_of_their_own_and_pass_at_k_counts_them(tmp_path):
    subjects = {"s": {"python": "small_suites:target"}}
    made = plan(tmp_path, subjects=subjects, metrics=["exact", "pass@2"], repeats=3)
    run(made, tmp_path / "run")
    (column,) = json.loads((tmp_path / "run" / "summary.json").read_text())["columns"]
    assert column["cases"] == 36
    assert column["metrics"]["exact"]["n"] == 12
    assert column["metrics"]["pass@2"]["mean"] == 1.0


def test_a_split_deals_groups_whole(tmp_path):
    parts = [
        {case.id for case in plan(tmp_path, split={"part": part}).datasets["cases"].cases}
        for part in ("dev", "test")
    ]
    assert parts[0].isdisjoint(parts[1])
    assert len(parts[0] | parts[1]) == 12
    for number in range(0, 12, 2):
        assert any({f"c{number}", f"c{number + 1}"} <= part for part in parts)


def test_twins_lose_their_evidence_and_a_reader_notices(tmp_path):
    given = {**dataset(tmp_path), "twins": True}
    made = plan(
        tmp_path,
        dataset=given,
        subjects={"s": {"python": "small_suites:echo"}},
        metrics=["contains", "twin_changed"],
    )
    run(made, tmp_path / "run")
    (column,) = json.loads((tmp_path / "run" / "summary.json").read_text())["columns"]
    assert column["cases"] == 24
    assert column["metrics"]["twin_changed"]["mean"] == 1.0
    assert column["metrics"]["contains"]["mean"] == 0.5


def test_a_wrong_subject_is_refused_before_any_case_is_paid_for(tmp_path):
    bad = {"good": {"python": "small_suites:target"}, "bad": {"python": "small_suites:nowhere"}}
    with pytest.raises(BadInput, match="nowhere"):
        run(plan(tmp_path, subjects=bad), tmp_path / "run")
    assert not (tmp_path / "run" / "results.jsonl").exists()
