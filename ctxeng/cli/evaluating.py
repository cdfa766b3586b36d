"""What `ctxeng eval` does and how it looks: progress, the table of figures, comparisons, report files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ctxeng.cli.common import clipped, note, notes, plain
from ctxeng.cli.interrupt import interruptible
from ctxeng.errors import BadInput
from ctxeng.extras import needs
from ctxeng.storage.atomic import write_atomic
from ctxeng_evals.criteria import (
    Regression,
    Verdict,
    as_baseline,
    compared,
    read_baseline,
    regressions,
    verdicts,
)
from ctxeng_evals.folders import plan_of, shipped
from ctxeng_evals.generators.registry import GENERATORS
from ctxeng_evals.log import ResultLog
from ctxeng_evals.metrics import METRICS, RANKED
from ctxeng_evals.plan import Plan
from ctxeng_evals.registry import entries
from ctxeng_evals.run import HEADER, SUMMARY, Finished, Pace, Run
from ctxeng_evals.subjects.select import METHODS
from ctxeng_evals.subjects.source import SOURCES
from ctxeng_evals.summary import gathered
from ctxeng_evals.tally import DRAWS, SET_METRICS

_LARGE = 10  # from here on, decimals say nothing
_SHOWN = 5  # failed cases that the terminal lists


@dataclass(frozen=True)
class Ended:
    """How a run ended, with its figures where it is complete."""

    folder: Path
    finished: Finished
    summary: Mapping[str, Any] | None
    verdicts: Sequence[Verdict]
    failures: Sequence[tuple[str, str]]

    @property
    def ok(self) -> bool:
        """Whether it is complete, nothing failed, and every criterion is fulfilled."""
        return self.finished.complete and not self.finished.failed and all(v.ok for v in self.verdicts)

    def as_json(self) -> dict[str, Any]:
        """Everything for machines."""
        return {
            "folder": str(self.folder),
            "ok": self.ok,
            **asdict(self.finished),
            "summary": self.summary,
            "criteria": [asdict(verdict) for verdict in self.verdicts],
            "failures": [{"case": case, "error": error} for case, error in self.failures],
        }


def run(plan: Plan, folder: Path, *, fresh: bool, again: bool, mode: str, report: bool, quiet: bool) -> Ended:
    """Run a plan with progress on stderr, then judge it and write its report."""
    if report:
        needs("jinja2")
        needs("matplotlib")
    if fresh and folder.exists():
        if not (folder / HEADER).exists() and any(folder.iterdir()):
            raise BadInput(f"{folder} is no run's folder; --fresh would delete what is in it")
        shutil.rmtree(folder)
    with interruptible() as check, _progress(quiet=quiet) as tell:

        def on_pace(pace: Pace) -> None:
            tell(pace)
            check()  # everything up to here is on disk

        job = Run(plan, folder, cast("Literal['auto', 'record', 'replay']", mode), on_pace)
        finished = job.go()
        if again and finished.complete:
            note(f"ran {job.again():,} failed cases again")
            finished = job.go()
    if not finished.complete:
        return Ended(folder, finished, None, (), _failures(folder))
    summary = json.loads((folder / SUMMARY).read_bytes())
    held = judged(plan, folder, summary)
    if report:
        write_report(folder)
    return Ended(folder, finished, summary, held, _failures(folder))


def judged(plan: Plan, folder: Path, summary: Mapping[str, Any]) -> list[Verdict]:
    """The suite's criteria, held against the run."""
    if not plan.suite.passing:
        return []
    log = ResultLog(folder)
    return verdicts(plan, summary, gathered(plan, log.records(), {}))


def show(ended: Ended, console: Console) -> None:
    """The figures as a table, then what failed, was not fulfilled, or stopped the run."""
    finished = ended.finished
    if ended.summary is not None:
        for dataset in dict.fromkeys(column["dataset"] for column in ended.summary["columns"]):
            console.print(_table(ended.summary, dataset))
    for case, error in ended.failures[:_SHOWN]:
        console.print(f"failed: {plain(case)}: {clipped(error, 160)}", style="red", soft_wrap=True)
    if finished.failed:
        console.print(f"{finished.failed:,} of {finished.done:,} failed", style="red")
    for verdict in ended.verdicts:
        console.print(f"{'pass' if verdict.ok else 'FAIL'}  {verdict.text}", soft_wrap=True)
    if finished.stopped:
        note(
            f"stopped at {finished.done:,} of {finished.total:,}: {finished.stopped}; "
            "the same command goes on"
        )
    for name in ("report.html", SUMMARY):
        if (ended.folder / name).exists():
            note(f"{name.split('.')[0]}: {ended.folder / name}")


def save(summary: Mapping[str, Any], path: Path) -> None:
    """The figures as a baseline."""
    write_atomic(path, json.dumps(as_baseline(summary), indent=1) + "\n")
    note(f"baseline: {path}")


def gate(folder: Path, baseline: Path | None) -> tuple[list[Regression], Path]:
    """What of the run is worse than its baseline. Raises BadInput where there is no baseline."""
    plan = plan_of(folder)
    own = plan.folder / plan.suite.baseline if plan.suite.baseline else None
    path = baseline or own or plan.folder.parent / "baselines" / f"{plan.suite.suite}.json"
    try:
        summary = json.loads((folder / SUMMARY).read_bytes())
    except OSError as error:
        raise BadInput(f"{folder}: the run is not complete ({SUMMARY} is missing)") from error
    return regressions(read_baseline(path), summary), path


def compare(first: Path, second: Path) -> list[dict[str, Any]]:
    """Each column and metric that both runs have, with the paired difference."""
    plans = plan_of(first), plan_of(second)
    tallies = [
        gathered(plan, ResultLog(folder).records(), {})
        for plan, folder in zip(plans, (first, second), strict=True)
    ]
    places = {column.name: place for place, column in enumerate(plans[1].columns)}
    metrics = [name for name in plans[0].suite.metrics if name in plans[1].suite.metrics]
    found = []
    for place, column in enumerate(plans[0].columns):
        if column.name not in places:
            continue
        pair = tallies[0][place], tallies[1][places[column.name]]
        for name, each in compared(metrics, *pair, plans[0].suite.seed).items():
            if each is not None:
                figures = {"first": each.first, "second": each.second, "difference": asdict(each.estimate)}
                found.append({"column": column.name, "metric": name, **figures, "real": each.real})
    if not found:
        raise BadInput(f"{first} and {second} have no column and case in common")
    return found


def show_comparison(found: Sequence[Mapping[str, Any]], console: Console) -> None:
    """The differences as a table; with many of them, one in twenty looks real by chance."""
    table = Table("column", "metric", "first", "second", "second - first", "")
    for row in found:
        each = row["difference"]
        said = f"{each['mean']:+.3f} [{each['low']:+.3f}, {each['high']:+.3f}] n {each['n']}"
        verdict = "real" if row["real"] else ""
        table.add_row(
            row["column"], row["metric"], f"{row['first']:.3f}", f"{row['second']:.3f}", said, verdict
        )
    console.print(table)


def write_report(run_folder: Path, html: Path | None = None, *, other: Path | None = None) -> Path:
    """report.html, report.md and junit.xml of a run; beside another run, the page alone."""
    from ctxeng_evals.report.html import page  # noqa: PLC0415 - matplotlib takes a second
    from ctxeng_evals.report.junit import junit  # noqa: PLC0415
    from ctxeng_evals.report.markdown import markdown  # noqa: PLC0415
    from ctxeng_evals.report.view import view_of  # noqa: PLC0415

    plan = plan_of(run_folder)
    summary = json.loads((run_folder / SUMMARY).read_bytes())
    held = judged(plan, run_folder, summary)
    with_other = (other, plan_of(other)) if other is not None else None
    path = html or run_folder / "report.html"
    write_atomic(path, page(view_of(run_folder, plan, other=with_other, criteria=held)))
    if other is None:
        write_atomic(run_folder / "report.md", markdown(summary, held))
        write_atomic(run_folder / "junit.xml", junit(plan, ResultLog(run_folder), held))
    return path


def known() -> dict[str, dict[str, str]]:
    """Everything a suite can name, with a line on each."""
    return {
        "suites": {name: _about(path) for name, path in shipped().items()},
        "datasets": {name: entry.about for name, entry in entries().items()},
        "generators": {name: (kind.__doc__ or "").split("\n")[0] for name, kind in GENERATORS.items()},
        "select": dict(METHODS),
        "source": dict.fromkeys(SOURCES, "a source of ctxeng, alone"),
        "metrics": {
            **{name: each.about for name, each in METRICS.items()},
            **{f"{name}@k": said for name, (_, said) in RANKED.items()},
            "pass@k": f"one of k repeats is right; k is one of {', '.join(map(str, DRAWS))}",
            **{name: each.about for name, each in SET_METRICS.items() if not name.startswith("pass@")},
        },
    }


def _about(path: Path) -> str:
    from ctxeng_evals.suite import read_suite  # noqa: PLC0415

    return read_suite(path).about


def _failures(folder: Path) -> list[tuple[str, str]]:
    return [
        (record["case"], record["error"]) for record in ResultLog(folder).records() if record.get("error")
    ]


def _table(summary: Mapping[str, Any], dataset: str) -> Table:
    columns = [column for column in summary["columns"] if column["dataset"] == dataset]
    table = Table(title=dataset, title_justify="left")
    table.add_column("subject")
    for name in summary["metrics"]:
        table.add_column(name, justify="right")
    extra = [name for name in ("tokens", "ms", "n") if name not in summary["metrics"]]
    for name in extra:
        table.add_column(name, justify="right")
    for column in columns:
        point = ", ".join(f"{key} {value}" for key, value in column["point"].items())
        cells = [_figure(column["metrics"][name]) for name in summary["metrics"]]
        seconds = column["seconds"]
        took = f"{1000 * seconds['median']:.1f}" if seconds else ""
        said = f"{column['subject']}  {point}".strip()
        more = {"tokens": f"{column['tokens']:,.0f}", "ms": took, "n": f"{column['cases']:,}"}
        table.add_row(said, *cells, *(more[name] for name in extra))
    return table


def _figure(found: Mapping[str, float] | None) -> str:
    if found is None:
        return ""
    digits = ",.0f" if abs(found["high"]) >= _LARGE else ".3f"
    mean, low, high = (format(found[key], digits) for key in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[Pace], None]]:
    """A bar on stderr with rate, failures and time left; nothing where nobody looks."""
    console = notes()
    if quiet or not console.is_terminal:
        yield lambda pace: None  # noqa: ARG005 - nobody looks
        return
    shown = (
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.fields[said]}"),
        TimeRemainingColumn(),
    )
    with Progress(*shown, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, said="")

        def tell(pace: Pace) -> None:
            speed = bar.tasks[0].speed
            words = [f"{speed:,.0f} cases/s"] if speed else []
            words += [f"{pace.failed:,} failed"] if pace.failed else []
            tokens = pace.usage.input + pace.usage.output
            words += [f"{tokens:,} tokens"] if tokens else []
            bar.update(task, completed=pace.done, total=pace.total, said=", ".join(words))

        yield tell
