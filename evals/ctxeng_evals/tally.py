"""One column's scores, gathered record by record, and the metrics that need all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import comb
from typing import Any, Literal

from ctxeng.errors import UnknownName
from ctxeng_evals.case import TWIN
from ctxeng_evals.metrics import known, metric

Rows = list[tuple[float, str]]  # values and groups
_BINS = 10  # of confidence, for the calibration error
Better = Literal["higher", "lower"]


@dataclass
class Tally:
    """One column's scores, gathered record by record: a float and a group a case, whatever the case holds."""

    scores: dict[str, list[tuple[str, float]]] = field(default_factory=dict)  # (case, score), by metric
    groups: dict[str, str] = field(default_factory=dict)
    confidence: dict[str, float] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)  # of cases that have a twin, and of twins
    failed: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    tokens: int = 0
    count: int = 0

    def add(self, record: Mapping[str, Any], seconds: float | None, *, twins: bool) -> None:
        """Take a record in."""
        self.count += 1
        case = record["case"]
        self.groups[case] = record.get("group") or case
        self.tokens += sum(record.get("spent", {}).values())
        if seconds is not None:
            self.seconds.append(seconds)
        if record.get("error"):
            self.failed.append(case)
            return
        for name, score in record["scores"].items():
            if score is not None:
                self.scores.setdefault(name, []).append((case, score))
        if "confidence" in record:
            self.confidence[case] = record["confidence"]
        if twins:
            self.answers[case] = str(record.get("answer"))

    def rows(self, name: str) -> Rows:
        """A metric's values with their groups, repeats of a case averaged."""
        return [(value, self.groups[case]) for case, value in self.by_case(name).items()]

    def by_case(self, name: str) -> dict[str, float]:
        """A metric's value of each case, repeats averaged."""
        sums: dict[str, tuple[float, int]] = {}
        for case, score in self.scores.get(name, []):
            total, count = sums.get(case, (0.0, 0))
            sums[case] = (total + score, count + 1)
        return {case: total / count for case, (total, count) in sums.items()}


@dataclass(frozen=True)
class SetMetric:
    """A metric of a whole column: values by case, made of all its scores; `first` is the suite's first."""

    values: Callable[[Tally, str], Rows]
    better: Better
    about: str


def _pass_at(k: int) -> SetMetric:
    """pass@k, the unbiased estimate of Chen et al. 2021 (arXiv:2107.03374), section 2.1."""

    def values(tally: Tally, first: str) -> Rows:
        by_case: dict[str, list[float]] = {}
        for case, score in tally.scores.get(first, []):
            by_case.setdefault(case, []).append(score)
        rows = []
        for case, scores in by_case.items():
            wrong = sum(score < 1 for score in scores)
            drawn = min(k, len(scores))
            rows.append((1 - comb(wrong, drawn) / comb(len(scores), drawn), tally.groups[case]))
        return rows

    return SetMetric(values, "higher", f"one of {k} repeats is right")


def _twin_changed(tally: Tally, first: str) -> Rows:  # noqa: ARG001 - the shape of a set metric
    """1 where taking the evidence away changed the answer, by case."""
    return [
        (float(tally.answers[case + TWIN] != answer), tally.groups[case])
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
        rows += [(gap, tally.groups[case]) for case in cases]
    return rows


SET_METRICS: Mapping[str, SetMetric] = {
    **{f"pass@{k}": _pass_at(k) for k in (1, 2, 3, 4, 5, 8, 10, 16, 32)},
    "ece": SetMetric(_ece, "lower", "gap between confidence and accuracy, in ten bins"),
    "twin_changed": SetMetric(
        _twin_changed, "higher", "the answer changes when its evidence is tally away (needs twins)"
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
