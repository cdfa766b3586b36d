"""A run's figures: each column's metrics with intervals, failures, times; what report and gate read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any, Protocol

from ctxeng_evals.plan import Column, Plan
from ctxeng_evals.stats import Estimate, mean_of
from ctxeng_evals.tally import SET_METRICS, Rows, Tally, about, better


class Times(Protocol):
    """How long slots took: a mapping, or what a result log has."""

    def get(self, slot: int, /) -> float | None:
        """The slot's time in seconds; None where none was measured."""
        ...


def summarized(plan: Plan, records: Iterable[Mapping[str, Any]], seconds: Times) -> dict[str, Any]:
    """The figures of every column, as plain JSON."""
    tallies = gathered(plan, records, seconds)
    names = plan.suite.metrics
    return {
        "suite": plan.suite.suite,
        "metrics": {name: {"better": better(name), "about": about(name)} for name in names},
        "columns": [
            _column(column, tallies[place], names, plan.suite.seed)
            for place, column in enumerate(plan.columns)
        ],
    }


def gathered(plan: Plan, records: Iterable[Mapping[str, Any]], seconds: Times) -> list[Tally]:
    """Each column's scores."""
    size = {name: len(plan.chosen(dataset)) for name, dataset in plan.datasets.items()}
    tallies = [Tally(size[column.dataset]) for column in plan.columns]
    twins = {name for name, spec in plan.suite.sources.items() if spec.twins}
    for record in records:
        column = plan.columns[record["column"]]
        tallies[record["column"]].add(record, seconds.get(record["slot"]), twins=column.dataset in twins)
    return tallies


def values(tally: Tally, name: str, first: str) -> Rows:
    """A metric's values by case, of either kind."""
    return SET_METRICS[name].values(tally, first) if name in SET_METRICS else tally.rows(name)


def estimate(rows: Rows, seed: int) -> Estimate | None:
    """The mean of values with its interval over groups."""
    return mean_of([value for value, _ in rows], [group for _, group in rows], seed)


def _column(column: Column, tally: Tally, names: Sequence[str], seed: int) -> dict[str, Any]:
    times = sorted(tally.seconds)
    figures = {name: estimate(values(tally, name, names[0]), seed) for name in names}
    return {
        "name": column.name,
        "dataset": column.dataset,
        "subject": column.subject,
        "point": dict(column.point),
        "cases": tally.count,
        "failed": tally.failed,
        "metrics": {name: asdict(found) if found else None for name, found in figures.items()},
        "tokens": tally.tokens / tally.count if tally.count else 0.0,
        "seconds": {"median": median(times), "p95": times[int(0.95 * (len(times) - 1))]} if times else None,
    }
