"""What a run has to fulfil: the suite's own criteria, and a baseline that it must not fall below."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctxeng.errors import BadInput
from ctxeng_evals.plan import Column, Plan
from ctxeng_evals.stats import Difference, difference_of
from ctxeng_evals.suite import Criterion
from ctxeng_evals.tally import Tally, better


@dataclass(frozen=True)
class Verdict:
    """One criterion held against a run: in words, and whether it is fulfilled."""

    text: str
    ok: bool


@dataclass(frozen=True)
class Regression:
    """A figure that fell out of its baseline's interval; `now` is None where the column is gone."""

    column: str
    metric: str
    before: float
    bound: float
    now: float | None

    def __str__(self) -> str:
        if self.now is None:
            return f"{self.column}: {self.metric}: not in this run (baseline {self.before:.3f})"
        return (
            f"{self.column}: {self.metric}: {self.before:.3f} -> {self.now:.3f} "
            f"(beyond {self.bound:.3f} by {abs(self.now - self.bound):.3f})"
        )


def verdicts(plan: Plan, summary: Mapping[str, Any], tallies: Sequence[Tally]) -> list[Verdict]:
    """Every criterion of the suite. One that matches no column is not fulfilled: a typo must not pass."""
    found: list[Verdict] = []
    for criterion in plan.suite.passing:
        columns = [place for place, column in enumerate(plan.columns) if _matches(criterion, column)]
        if not columns:
            found.append(Verdict(f"{criterion.subject}: no column matches {dict(criterion.at)}", ok=False))
        for place in columns:
            found += _held(criterion, place, plan, summary, tallies)
    return found


def regressions(baseline: Mapping[str, Any], summary: Mapping[str, Any]) -> list[Regression]:
    """The figures of the run that are worse than the baseline's interval."""
    now = {column["name"]: column["metrics"] for column in summary["columns"]}
    found: list[Regression] = []
    for column in baseline["columns"]:
        for name, before in column["metrics"].items():
            if before is None:
                continue
            higher = baseline["metrics"][name]["better"] == "higher"
            bound = before["low"] if higher else before["high"]
            current = (now.get(column["name"]) or {}).get(name)
            if current is None:
                found.append(Regression(column["name"], name, before["mean"], bound, None))
            elif current["mean"] < bound if higher else current["mean"] > bound:
                found.append(Regression(column["name"], name, before["mean"], bound, current["mean"]))
    return found


def read_baseline(path: Path) -> Mapping[str, Any]:
    """A stored baseline. Raises BadInput where it is none."""
    try:
        found: Mapping[str, Any] = json.loads(path.read_bytes())
        _ = [(column["name"], column["metrics"]) for column in found["columns"]], found["metrics"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{path}: not a baseline ({error}); make one with: ctxeng eval run SUITE --save-baseline {path}"
        ) from error
    return found


def as_baseline(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The summary less what only this machine's clock knows."""
    columns = [{k: v for k, v in column.items() if k != "seconds"} for column in summary["columns"]]
    return {**summary, "columns": columns}


def compared(metrics: Iterable[str], first: Tally, second: Tally, seed: int) -> dict[str, Difference | None]:
    """For each metric, second less first on the cases that both have."""
    return {name: _paired(name, first, second, seed) for name in metrics}


def _held(
    criterion: Criterion, place: int, plan: Plan, summary: Mapping[str, Any], tallies: Sequence[Tally]
) -> list[Verdict]:
    column, name = plan.columns[place], criterion.metric
    figure = summary["columns"][place]["metrics"][name]
    if figure is None:
        return [Verdict(f"{column.name}: {name} has no value", ok=False)]
    mean, found = figure["mean"], []
    if criterion.at_least is not None:
        ok = mean >= criterion.at_least
        found.append(Verdict(f"{column.name}: {name} {mean:.3f} >= {criterion.at_least:g}", ok))
    if criterion.at_most is not None:
        ok = mean <= criterion.at_most
        found.append(Verdict(f"{column.name}: {name} {mean:.3f} <= {criterion.at_most:g}", ok))
    if criterion.not_worse_than:
        found.append(_versus(criterion, place, plan, tallies))
    return found


def _versus(criterion: Criterion, place: int, plan: Plan, tallies: Sequence[Tally]) -> Verdict:
    """Held against another subject on the same dataset, at the same point where it has one there."""
    column, name = plan.columns[place], criterion.metric
    others = [
        other
        for other, each in enumerate(plan.columns)
        if each.subject == criterion.not_worse_than and each.dataset == column.dataset
    ]
    same = [other for other in others if plan.columns[other].point == column.point]
    chosen = (same or others)[:1]
    said = f"{column.name}: {name} not worse than {criterion.not_worse_than}"
    found = _paired(name, tallies[chosen[0]], tallies[place], plan.suite.seed) if chosen else None
    if found is None:
        return Verdict(f"{said}: nothing to compare with", ok=False)
    edge = found.estimate.high if better(name) == "higher" else -found.estimate.low
    return Verdict(f"{said}: difference {_signed(found)}", ok=edge >= 0)


def _paired(name: str, first: Tally, second: Tally, seed: int) -> Difference | None:
    one, two = first.by_case(name), second.by_case(name)
    cases = [case for case in one if case in two]
    return difference_of(
        [(one[case], two[case]) for case in cases], [first.group(case) for case in cases], seed
    )


def _signed(found: Difference) -> str:
    each = found.estimate
    return f"{each.mean:+.3f} [{each.low:+.3f}, {each.high:+.3f}]"


def _matches(criterion: Criterion, column: Column) -> bool:
    return (
        column.subject == criterion.subject
        and criterion.dataset in {"", column.dataset}
        and all(column.point.get(key) == value for key, value in criterion.at.items())
    )
