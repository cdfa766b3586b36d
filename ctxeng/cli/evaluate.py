"""`ctxeng eval`: run suites, compare runs, guard against regressions, look at reports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ctxeng.cli import evaluate_data
from ctxeng.cli.common import JsonFlag, emit, note, out
from ctxeng.errors import BadInput

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Evaluate offline: a small YAML file in, figures with intervals and a report out.",
)
app.add_typer(evaluate_data.app, name="data")

SuiteName = Annotated[str, typer.Argument(help="A suite's YAML file, or the name of a shipped one.")]
RunFolder = Annotated[Path, typer.Argument(help="The folder of a run.")]
FAILED = 1


@app.command("run")
def run(
    suite: SuiteName,
    *,
    folder: Annotated[Path | None, typer.Option("--out", help="The run's folder; else runs/<suite>.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over instead of resuming.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many cases of each dataset.")] = None,
    only: Annotated[str, typer.Option(help="Only cases whose id is like this, as in 'hotpot-1*'.")] = "",
    columns: Annotated[str, typer.Option(help="Only columns like this, as in '* / bm25 *'.")] = "*",
    workers: Annotated[int | None, typer.Option(min=1, help="Cases worked on at a time.")] = None,
    engine: Annotated[str | None, typer.Option(help="threads, processes or ray.")] = None,
    rerun_failed: Annotated[
        bool, typer.Option("--rerun-failed", help="Run the failed cases of a finished run again.")
    ] = False,
    cassette: Annotated[str, typer.Option(help="What cassettes do: auto, record or replay.")] = "auto",
    save_baseline: Annotated[
        Path | None, typer.Option(help="Write the figures here, for `ctxeng eval gate`.")
    ] = None,
    report: Annotated[bool, typer.Option(help="Write report.html, report.md and junit.xml.")] = True,
    as_json: JsonFlag = False,
) -> None:
    """Run a suite, print its figures, and write a report.

    Example: [bold]ctxeng eval run tool-retrieval --limit 50[/bold]

    A run that was cut off, however hard, is resumed by the same command. Exit code 1: a criterion is not
    fulfilled, a case failed, or a limit stopped the run.
    """
    from ctxeng.cli import evaluating  # noqa: PLC0415 - numpy and more

    for name, value, known in (
        ("--engine", engine, (None, "threads", "processes", "ray")),
        ("--cassette", cassette, ("auto", "record", "replay")),
    ):
        if value not in known:
            raise BadInput(f"{name} {value}: one of {', '.join(each for each in known if each)}")
    from ctxeng_evals.folders import new_plan  # noqa: PLC0415

    plan = new_plan(suite, limit=limit, only=only, columns=columns, workers=workers, engine=engine)
    target = folder or Path("runs") / plan.suite.suite
    ended = evaluating.run(
        plan, target, fresh=fresh, again=rerun_failed, mode=cassette, report=report, quiet=as_json
    )
    if save_baseline is not None and ended.summary is not None:
        evaluating.save(ended.summary, save_baseline)
    if as_json:
        emit(ended.as_json())
    else:
        evaluating.show(ended, out())
    if not ended.ok:
        raise typer.Exit(FAILED)


@app.command("compare")
def compare(
    first: RunFolder,
    second: RunFolder,
    html: Annotated[Path | None, typer.Option(help="Write both runs side by side here.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Say which differences between two runs are real: paired on the cases that both have.

    Example: [bold]ctxeng eval compare runs/before runs/after --html diff.html[/bold]
    """
    from ctxeng.cli import evaluating  # noqa: PLC0415

    found = evaluating.compare(first, second)
    if html is not None:
        evaluating.write_report(second, html, other=first)
    if as_json:
        emit(found)
    else:
        evaluating.show_comparison(found, out())


@app.command("gate")
def gate(
    run: RunFolder,
    baseline: Annotated[
        Path | None, typer.Option(help="The stored figures; else the suite's own, or baselines/<suite>.json.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Fail where a run is worse than its baseline's interval, and say what and by how much.

    Example: [bold]ctxeng eval gate runs/tool-retrieval[/bold]
    """
    from ctxeng.cli import evaluating  # noqa: PLC0415

    found, path = evaluating.gate(run, baseline)
    if as_json:
        emit({"baseline": str(path), "regressions": [str(each) for each in found]})
    elif found:
        out().print(f"{len(found)} figures are worse than {path}:")
        for each in found:
            out().print(f"  {each}", soft_wrap=True)
    else:
        out().print(f"nothing is worse than {path}")
    if found:
        raise typer.Exit(FAILED)


@app.command("report")
def report(
    run: RunFolder,
    html: Annotated[
        Path | None, typer.Option(help="Where the page goes; else into the run's folder.")
    ] = None,
) -> None:
    """Write a run's report.html, report.md and junit.xml anew.

    Example: [bold]ctxeng eval report runs/tool-retrieval[/bold]
    """
    from ctxeng.cli import evaluating  # noqa: PLC0415

    note(f"report: {evaluating.write_report(run, html)}")


@app.command("list")
def known(as_json: JsonFlag = False) -> None:
    """What there is: suites, datasets, generators, selections, sources, metrics."""
    from ctxeng.cli import evaluating  # noqa: PLC0415

    found: dict[str, Any] = evaluating.known()
    if as_json:
        emit(found)
        return
    for title, entries in found.items():
        out().print(title, style="bold")
        for name, about in entries.items():
            out().print(f"  {name:<24} {about}", soft_wrap=True)


@app.command("schema")
def schema() -> None:
    """The JSON Schema of a suite's file, for editors."""
    from ctxeng_evals.suite import json_schema  # noqa: PLC0415

    emit(json_schema())
