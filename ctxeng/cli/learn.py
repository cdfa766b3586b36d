"""`ctxeng learn`: a stream of tasks is answered, and what it teaches is written into a playbook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctxeng.cli.common import JsonFlag, emit, note, playbook_file
from ctxeng.errors import BadInput, MissingExtra, UnknownName

if TYPE_CHECKING:
    from ctxeng.cli.runs import Run
    from ctxeng.cli.session import Outcome, Session

MODES = ("online", "offline", "eval")

Target = Annotated[Path, typer.Argument(help="The playbook's YAML file; made where there is none.")]
Stream = Annotated[str, typer.Argument(help="JSON lines, or a dataset: finer, bbh:navigate, metatool.")]
Mode = Annotated[
    str | None, typer.Option(help="online: test, then learn; offline: epochs; eval: only answer.")
]
Window = Annotated[int | None, typer.Option(min=1, help="online: tasks answered before learning from them.")]
Every = Annotated[int | None, typer.Option(min=1, help="Turns a learning step.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="offline: passes over the tasks.")]
Validation = Annotated[str | None, typer.Option(help="offline: tasks that tell which version is best.")]
ModelId = Annotated[str | None, typer.Option(help="onbox, cassette:FILE, or <provider>/<model>.")]
Strategy = Annotated[str | None, typer.Option(help="How to learn: auto, ace, onbox.")]
Judge = Annotated[
    str | None, typer.Option(help="exact, numeric, contains, overlap; none learns without labels.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first so many tasks.")]
Shuffle = Annotated[int | None, typer.Option(metavar="SEED", help="Shuffle the tasks first.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start over instead of resuming.")]
Baseline = Annotated[
    bool, typer.Option(help="Answer the stream first with the playbook as it is: before and after.")
]
Plot = Annotated[Path | None, typer.Option(help="Where the curve goes, .png or .svg; else by the playbook.")]
NoPlot = Annotated[bool, typer.Option("--no-plot", help="No picture of the learning curve.")]
WholeDiff = Annotated[bool, typer.Option("--diff", help="The whole YAML diff, however long.")]


def learn(
    playbook: Target,
    tasks: Stream,
    *,
    mode: Mode = None,
    window: Window = None,
    every: Every = None,
    epochs: Epochs = None,
    validation: Validation = None,
    model: ModelId = None,
    strategy: Strategy = None,
    judge: Judge = None,
    limit: Limit = None,
    shuffle: Shuffle = None,
    fresh: Fresh = False,
    baseline: Baseline = False,
    plot: Plot = None,
    no_plot: NoPlot = False,
    diff: WholeDiff = False,
    as_json: JsonFlag = False,
) -> None:
    """Answer a stream of tasks and learn from it.

    Example: [bold]ctxeng learn support.yaml tickets.jsonl --baseline[/bold]

    A task is a line such as {"question": "...", "choices": ["a", "b"], "target": "a"}

    A run that was cut off, however hard, is resumed by the same command.

    With --json: one line a step, and the report last.
    """
    from ctxeng.cli.conduct import conducted  # noqa: PLC0415 - langgraph takes a second

    picture = _picture(playbook, plot, no_plot)
    options = {
        "models.answer": model,
        "learning.window": window,
        "learning.every": every,
        "learning.epochs": epochs,
        "learning.strategy": strategy,
        "learning.judge": judge,
        "learning.origin": "trusted",  # the tasks and their targets are the user's own
    }
    session = _session(playbook, tasks, mode, options, validation, baseline, (shuffle, limit))
    run, outcome = conducted(session, fresh, as_json)
    _report(session, run, outcome, picture, whole_diff=diff, as_json=as_json)


def _session(
    playbook: Path,
    tasks: str,
    mode: str | None,
    options: dict[str, Any],
    validation: str | None,
    baseline: bool,
    order: tuple[int | None, int | None],
) -> Session:
    """Everything checked that can be, before anything is written."""
    from ctxeng.cli.session import Session, settings_of  # noqa: PLC0415 - langgraph takes a second
    from ctxeng.cli.stream import ordered, tasks_named  # noqa: PLC0415

    path = playbook_file(playbook, must_exist=mode == "eval")
    settings = settings_of(path, options)
    chosen = mode or settings.learning.mode
    if chosen not in MODES:
        raise UnknownName("mode", chosen, MODES)
    if chosen != "offline":
        for name, given in (("--validation", validation), ("--epochs", options["learning.epochs"])):
            if given is not None:
                raise BadInput(f"{name} belongs to --mode offline, this is {chosen}")
    judge = settings.learning.judge
    found = ordered(tasks_named(tasks, judge), *order)
    held_out = tasks_named(validation, judge) if validation else []
    return Session(path, settings, chosen, found, held_out, baseline)  # type: ignore[arg-type]  # checked


def _report(
    session: Session, run: Run, outcome: Outcome, picture: Path | None, *, whole_diff: bool, as_json: bool
) -> None:
    from ctxeng.cli.report import show, summarized  # noqa: PLC0415 - rich tables
    from ctxeng.playbook.diff import text_diff  # noqa: PLC0415

    summary = summarized(session, run, outcome)
    scores = [each.score for each in outcome.report.scored if each.score is not None]
    drawn = picture if scores else None
    if drawn is not None:
        from ctxeng.cli.curve import draw  # noqa: PLC0415 - matplotlib takes half a second

        before = (
            [each.score for each in outcome.before.scored if each.score is not None] if outcome.before else []
        )
        epochs = session.settings.learning.epochs if session.mode == "offline" else 1
        title = f"{session.path.stem}: {len(session.tasks):,} tasks, {session.mode}"
        draw(drawn, title, scores, before, epochs)
    run.finish(summary)
    if as_json:
        diff = text_diff(outcome.old, outcome.new)
        emit({"event": "report", **summary, "diff": diff, "plot": str(drawn) if drawn else None})
    else:
        show(outcome, summary, whole_diff=whole_diff, picture=drawn)
    if summary["failed"] and summary["failed"] == summary["answered"]:
        raise typer.Exit(1)


def _picture(playbook: Path, plot: Path | None, no_plot: bool) -> Path | None:
    """Where the curve goes: beside the playbook, unless somebody says otherwise."""
    from ctxeng.extras import needs  # noqa: PLC0415 - light, but only here

    if no_plot:
        return None
    try:
        needs("matplotlib")
    except MissingExtra:
        if plot is not None:
            raise
        note("no picture of the curve: matplotlib is not installed (pip install 'ctxeng-framework[cli]')")
        return None
    if plot is not None:
        from ctxeng.cli.curve import check_picture  # noqa: PLC0415 - matplotlib takes half a second

        check_picture(plot)
    return plot or playbook.with_name(f"{playbook.stem}.curve.png")
