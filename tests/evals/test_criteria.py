"""Criteria hold runs to account, and a gate says what fell below its baseline."""

import json

import pytest

from ctxeng.errors import BadInput
from ctxeng_evals.criteria import as_baseline, compared, read_baseline, regressions, verdicts
from ctxeng_evals.log import ResultLog
from ctxeng_evals.summary import gathered
from small_suites import plan, run


def finished(folder, out="run", **fields):
    made = plan(folder, **fields)
    run(made, folder / out)
    summary = json.loads((folder / out / "summary.json").read_text())
    return made, summary, gathered(made, ResultLog(folder / out).records(), {})


@pytest.mark.parametrize(
    ("criterion", "ok", "said"),
    [
        ({"at_least": 0.9}, True, "recall 1.000 >= 0.9"),
        ({"at_least": 1.1}, False, "recall 1.000 >= 1.1"),
        ({"at_most": 0.5}, False, "recall 1.000 <= 0.5"),
        ({"not_worse_than": "recency"}, True, "not worse than recency: difference +"),
        ({"at_least": 0.5, "at": {"budget": 999}}, False, "no column matches"),
        ({"at_least": 0.5, "dataset": "other"}, False, "no column matches"),
    ],
)
def test_a_criterion_is_held_against_its_columns(tmp_path, criterion, ok, said):
    (tmp_path / "x").mkdir()
    fields = {"pass": [{"metric": "recall", "subject": "bm25", **criterion}], "sweep": {"count": [1]}}
    (verdict,) = verdicts(*finished(tmp_path, metrics=["recall"], **fields))
    assert verdict.ok is ok
    assert said in verdict.text


def test_worse_than_another_subject_is_seen_with_the_paired_interval(tmp_path):
    fields = {"pass": [{"metric": "recall", "subject": "first", "not_worse_than": "oracle"}]}
    subjects = {"first": {"select": "recency"}, "oracle": {"select": "oracle"}}
    (verdict,) = verdicts(
        *finished(tmp_path, subjects=subjects, metrics=["recall"], sweep={"count": [1]}, **fields)
    )
    assert not verdict.ok
    assert "-1.000 [-1.000, -1.000]" in verdict.text


def test_a_run_is_no_regression_against_itself_and_a_worse_one_is(tmp_path):
    _, good, _ = finished(tmp_path, subjects={"s": {"select": "oracle"}}, sweep={"count": [1]})
    baseline = as_baseline(good)
    assert "seconds" not in baseline["columns"][0]
    assert regressions(baseline, good) == []
    _, bad, _ = finished(tmp_path, "bad", subjects={"s": {"select": "recency"}}, sweep={"count": [1]})
    found = regressions(baseline, bad)
    assert {each.metric for each in found} >= {"recall", "all_gold"}
    assert str(found[0]).startswith("cases / s / count=1: all_gold: 1.000 -> 0.000 (beyond 1.000 by 1.000)")


def test_a_metric_that_should_be_low_regresses_upwards_and_a_lost_column_is_a_regression(tmp_path):
    _, few, _ = finished(tmp_path, subjects={"s": {"select": "first"}}, sweep={"count": [1]})
    _, all_, _ = finished(tmp_path, "all", subjects={"s": {"select": "first"}}, sweep={"count": [2]})
    all_["columns"][0]["name"] = few["columns"][0]["name"]
    assert [each.metric for each in regressions(as_baseline(few), all_)] == ["tokens"]
    all_["columns"][0]["name"] = "renamed"
    lost = regressions(as_baseline(few), all_)
    assert all(each.now is None for each in lost)
    assert "not in this run" in str(lost[0])


def test_a_file_that_is_no_baseline_is_named_with_the_way_out(tmp_path):
    (tmp_path / "b.json").write_text('{"bench": "playbook"}')
    with pytest.raises(BadInput, match="--save-baseline"):
        read_baseline(tmp_path / "b.json")


def test_two_runs_are_compared_on_the_cases_that_both_have(tmp_path):
    _, _, (first,) = finished(tmp_path, subjects={"s": {"python": "small_suites:target"}}, metrics=["exact"])
    _, _, (second,) = finished(
        tmp_path, "b", subjects={"s": {"python": "small_suites:fails_sometimes"}}, metrics=["exact"]
    )
    found = compared(["exact"], first, second, 0)["exact"]
    assert found.estimate.n == 11  # the twelfth failed
    assert found.estimate.mean == pytest.approx(-1 / 11)
    assert not found.real
