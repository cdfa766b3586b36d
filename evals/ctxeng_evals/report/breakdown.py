"""A run's first metric by tags of its cases, and over the stream of columns that learn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ctxeng_evals.report.figures import said
from ctxeng_evals.report.rows import Side
from ctxeng_evals.stats import Estimate, mean_of
from ctxeng_evals.tally import SET_METRICS

TENTHS = 10
_VALUES = 12  # of a tag that a table has room for
_FEW = 2 * TENTHS  # cases, below which tenths of a stream say nothing
Values = list[tuple[float, str]]  # with their groups


@dataclass(frozen=True)
class Breakdown:
    """The metric by a tag's values: a row a column of the run, a cell a value."""

    dataset: str
    tag: str
    metric: str
    values: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Estimate | None, ...]], ...]
    more: int = 0


@dataclass(frozen=True)
class Curve:
    """The metric by tenths of a column's stream; `learns` tells columns that learn from the others."""

    dataset: str
    label: str
    metric: str
    learns: bool
    tenths: tuple[Estimate | None, ...]


def first_metric(side: Side) -> str:
    """The suite's first metric of a case; empty where all are metrics of a whole column."""
    return next((name for name in side.plan.suite.metrics if name not in SET_METRICS), "")


def breakdowns(side: Side) -> tuple[Breakdown, ...]:
    """A table for each dataset and each tag of the suite's `by` that its cases have two values of."""
    plan, metric = side.plan, first_metric(side)
    if not plan.suite.by or not metric:
        return ()
    tags: dict[str, Mapping[str, Mapping[str, Any]]] = {}
    for name, dataset in side.texts.datasets.items():
        tags[name] = {
            case.id: {tag: case.tags[tag] for tag in plan.suite.by if tag in case.tags}
            for case in dataset.cases
        }
    cells: dict[tuple[str, str], dict[str, dict[int, Values]]] = {
        (name, tag): {} for name in tags for tag in plan.suite.by
    }
    for column, case, value, group in _scored(side, metric):
        name = plan.columns[column].dataset
        for tag, held in tags.get(name, {}).get(case, {}).items():
            by_value = cells[name, tag].setdefault(said(held), {})
            by_value.setdefault(column, []).append((value, group))
    return tuple(
        _table(side, name, tag, metric, found) for (name, tag), found in cells.items() if len(found) > 1
    )


def curves(side: Side) -> tuple[Curve, ...]:
    """The curves of all columns of those datasets in which a column learns."""
    plan, metric = side.plan, first_metric(side)
    learning = {plan.columns[place].dataset for place in plan.sequential}
    if not learning or not metric:
        return ()
    streams: dict[int, list[Values]] = {}
    for column, _, value, group in _scored(side, metric):
        if plan.columns[column].dataset in learning:
            streams.setdefault(column, []).append([(value, group)])
    found = []
    for place, shown in enumerate(plan.columns):
        stream = streams.get(place, [])
        if len(stream) < _FEW:
            continue
        parts = [_part(stream, tenth, plan.suite.seed) for tenth in range(TENTHS)]
        label = shown.name.removeprefix(f"{shown.dataset} / ")
        found.append(Curve(shown.dataset, label, metric, place in plan.sequential, tuple(parts)))
    return tuple(found)


def _part(stream: list[Values], tenth: int, seed: int) -> Estimate | None:
    size = len(stream)
    rows = [row for each in stream[tenth * size // TENTHS : (tenth + 1) * size // TENTHS] for row in each]
    return mean_of([value for value, _ in rows], [group for _, group in rows], seed)


def _scored(side: Side, metric: str) -> Iterator[tuple[int, str, float, str]]:
    """Column, case, value and group of every record that has a value, in the order of the run."""
    for record in side.records.records():
        value = record["scores"].get(metric)
        if value is not None and not record.get("error"):
            yield record["column"], record["case"], value, record.get("group") or record["case"]


def _table(
    side: Side, dataset: str, tag: str, metric: str, found: Mapping[str, Mapping[int, Values]]
) -> Breakdown:
    size = {value: sum(map(len, columns.values())) for value, columns in found.items()}
    shown = sorted(sorted(found, key=lambda value: (-size[value], value))[:_VALUES], key=_natural)
    rows = []
    for place, column in enumerate(side.plan.columns):
        if column.dataset != dataset:
            continue
        cells = [_estimate(found[value].get(place, []), side.plan.suite.seed) for value in shown]
        rows.append((column.name.removeprefix(f"{dataset} / "), tuple(cells)))
    return Breakdown(dataset, tag, metric, tuple(shown), tuple(rows), len(found) - len(shown))


def _natural(value: str) -> tuple[float, str]:
    """Numbers by their size, before words."""
    try:
        return float(value), value
    except ValueError:
        return math.inf, value


def _estimate(values: Values, seed: int) -> Estimate | None:
    return mean_of([value for value, _ in values], [group for _, group in values], seed)
