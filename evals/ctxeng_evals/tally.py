"""One column's scores, gathered record by record, and the metrics that need all of them."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import comb, isnan, nan
from typing import Any, Literal

from ctxeng.errors import UnknownName
from ctxeng_evals.case import TWIN
from ctxeng_evals.metrics import known, metric

Rows = list[tuple[float, str]]  # values and groups
DRAWS = (1, 2, 3, 4, 5, 8, 10, 16, 32)  # the k of pass@k
_BINS = 10  # of confidence, for the calibration error
Better = Literal["higher", "lower"]


@dataclass
class Tally:
    """One column's scores, gathered record by record in order: a few bytes a case, whatever the case holds.

    `cases` is how many cases the column has; repeats come after one another.
    """

    cases: int
    count: int = 0
    failed: int = 0
    tokens: int = 0
    ids: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)  # empty for a case that is its own group
    scores: dict[str, array[float]] = field(default_factory=dict)  # a record each, NaN where there is none
    seconds: array[float] = field(default_factory=lambda: array("d"))
    confidence: dict[str, float] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)  # of cases that have a twin, and of twins

    def add(self, record: Mapping[str, Any], seconds: float | None, *, twins: bool) -> None:
        """Take the column's next record in."""
        if self.count < self.cases:
            self.ids.append(record["case"])
            self.groups.append(sys.intern(record.get("group", "")))
        for name, score in record["scores"].items():
            if name not in self.scores:
                self.scores[name] = array("d", [nan] * self.count)
            self.scores[name].append(nan if score is None else score)
        self.count += 1
        for scores in self.scores.values():
            if len(scores) < self.count:
                scores.append(nan)  # of a record that failed
        self.tokens += sum(record.get("spent", {}).values())
        if seconds is not None:
            self.seconds.append(seconds)
        if record.get("error"):
            self.failed += 1
            return
        if "confidence" in record:
            self.confidence[record["case"]] = record["confidence"]
        if twins:
            self.answers[record["case"]] = str(record.get("answer"))

    def group(self, case: str) -> str:
        """The group of a case; its own id where it has none."""
        return self._group_of.get(case, case)

    def rows(self, name: str) -> Rows:
        """A metric's values with their groups, repeats of a case averaged."""
        return [
            (value, group or case)
            for case, group, value in zip(self.ids, self.groups, self._means(name), strict=True)
            if not isnan(value)
        ]

    def by_case(self, name: str) -> dict[str, float]:
        """A metric's value of each case, repeats averaged."""
        return {
            case: value for case, value in zip(self.ids, self._means(name), strict=True) if not isnan(value)
        }

    def repeats(self, name: str) -> Iterator[tuple[str, list[float]]]:
        """Each case with a metric's values of all its repeats."""
        scores = self.scores.get(name, array("d"))
        for place, case in enumerate(self.ids):
            found = [score for score in scores[place :: self.cases] if not isnan(score)]
            if found:
                yield case, found

    def _means(self, name: str) -> Iterator[float]:
        scores = self.scores.get(name) or array("d", [nan] * len(self.ids))
        if self.count <= self.cases:
            yield from scores
            return
        for place in range(len(self.ids)):
            found = [score for score in scores[place :: self.cases] if not isnan(score)]
            yield sum(found) / len(found) if found else nan

    @cached_property
    def _group_of(self) -> dict[str, str]:
        return {case: group for case, group in zip(self.ids, self.groups, strict=True) if group}


@dataclass(frozen=True)
class SetMetric:
    """A metric of a whole column: values by case, made of all its scores; `first` is the suite's first."""

    values: Callable[[Tally, str], Rows]
    better: Better
    about: str


def _pass_at(k: int) -> SetMetric:
    """pass@k, the unbiased estimate of Chen et al. 2021 (arXiv:2107.03374), section 2.1."""

    def values(tally: Tally, first: str) -> Rows:
        rows = []
        for case, scores in tally.repeats(first):
            wrong = sum(score < 1 for score in scores)
            drawn = min(k, len(scores))
            rows.append((1 - comb(wrong, drawn) / comb(len(scores), drawn), tally.group(case)))
        return rows

    return SetMetric(values, "higher", f"one of {k} repeats is right")


def _twin_changed(tally: Tally, first: str) -> Rows:  # noqa: ARG001 - the shape of a set metric
    """1 where taking the evidence away changed the answer, by case."""
    return [
        (float(tally.answers[case + TWIN] != answer), tally.group(case))
        for case, answer in tally.answers.items()
        if case + TWIN in tally.answers
    ]


def _ece(tally: Tally, first: str) -> Rows:
    """Expected calibration error: each case has the gap between confidence and accuracy in its bin."""
    scores = tally.by_case(first)
    bins: dict[int, list[str]] = {}
    for case, sure in tally.confidence.items():
        if case in scores:
            bins.setdefault(min(_BINS - 1, int(sure * _BINS)), []).append(case)
    rows = []
    for cases in bins.values():
        gap = abs(sum(tally.confidence[case] - scores[case] for case in cases)) / len(cases)
        rows += [(gap, tally.group(case)) for case in cases]
    return rows


SET_METRICS: Mapping[str, SetMetric] = {
    **{f"pass@{k}": _pass_at(k) for k in DRAWS},
    "ece": SetMetric(_ece, "lower", "gap between confidence and accuracy, in ten bins"),
    "twin_changed": SetMetric(
        _twin_changed, "higher", "the answer changes when its evidence is taken away (needs twins)"
    ),
}


def known_metric(name: str) -> None:
    """Raises UnknownName, with those there are, where no metric of either kind has this name."""
    if name in SET_METRICS:
        return
    try:
        metric(name)
    except UnknownName as error:
        raise UnknownName("metric", name, [*known(), *SET_METRICS]) from error


def better(name: str) -> Better:
    """Which way a metric is better."""
    return SET_METRICS[name].better if name in SET_METRICS else metric(name).better


def about(name: str) -> str:
    """What a metric says, in a few words."""
    return SET_METRICS[name].about if name in SET_METRICS else metric(name).about
