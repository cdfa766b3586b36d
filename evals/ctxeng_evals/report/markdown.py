"""A run's figures as Markdown, for a pull request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ctxeng_evals.report.figures import Judged, at, best, duration, interval, number, ordered

_SHOWN = 5  # criteria that pass
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~@])")


def markdown(summary: Mapping[str, Any], criteria: Sequence[Judged] = ()) -> str:
    """Criteria, then a table a dataset: the best of each point in bold, intervals behind the means."""
    failed = sum(column["failed"] for column in summary["columns"])
    cases = sum(column["cases"] for column in summary["columns"])
    parts = [f"## {_plain(summary['suite'])}", _verdict(criteria, failed, cases)]
    parts += _criteria(criteria)
    names = dict.fromkeys(column["dataset"] for column in summary["columns"])
    parts += [f"### {_plain(name)}\n\n" + "\n".join(_table(summary, name)) for name in names]
    return "\n\n".join([*parts, _source(summary)]) + "\n"


def _verdict(criteria: Sequence[Judged], failed: int, cases: int) -> str:
    kept = sum(each.ok for each in criteria)
    words = [f"{kept} of {len(criteria)} criteria fulfilled"] if criteria else []
    return "; ".join([*words, f"{failed:,} of {cases:,} cases failed"]) + "."


def _criteria(criteria: Sequence[Judged]) -> list[str]:
    """What does not hold is listed; what does is folded where it would fill the screen."""
    failed = [f"- **FAIL**: {_plain(each.text)}" for each in criteria if not each.ok]
    passed = [f"- pass: {_plain(each.text)}" for each in criteria if each.ok]
    if len(passed) > _SHOWN:
        passed = [f"<details><summary>{len(passed)} pass</summary>\n", *passed, "\n</details>"]
    return ["\n".join(lines) for lines in (failed, passed) if lines]


def _table(summary: Mapping[str, Any], dataset: str) -> list[str]:
    metrics = list(summary["metrics"])
    extra = [] if "tokens" in metrics else ["tokens"]
    heads = ["subject", *metrics, *extra, "median", "p95", "failed"]
    lines = [_line(map(_plain, heads)), _line(["---", *["---:"] * (len(heads) - 1)])]
    leading = best(summary)
    for column in ordered(each for each in summary["columns"] if each["dataset"] == dataset):
        point, seconds = at(column["point"]), column["seconds"]
        cells = [_plain(f"{column['subject']} ({point})" if point else column["subject"])]
        cells += [
            _figure(column["metrics"][name], bold=(column["name"], name) in leading) for name in metrics
        ]
        cells += [number(column["tokens"], 1000)] if extra else []
        cells += [duration(seconds["median"]), duration(seconds["p95"])] if seconds else ["", ""]
        lines.append(_line([*cells, f"{column['failed']:,} of {column['cases']:,}"]))
    return lines


def _figure(found: Mapping[str, float] | None, *, bold: bool) -> str:
    if found is None:
        return ""
    mean = number(found["mean"], found["high"])
    return f"{f'**{mean}**' if bold else mean} <sub>{interval(found)}</sub>"


def _source(summary: Mapping[str, Any]) -> str:
    machine = summary.get("machine", {})
    words = [f"{key} {machine[key]}" for key in ("commit", "date", "python") if machine.get(key)]
    return "<sub>" + _plain("; ".join(["means with 95 % intervals", *words])) + "</sub>"


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Text that Markdown takes for what it is: no mark-up, no mention, one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
