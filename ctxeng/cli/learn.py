"""`ctxeng learn`: a stream of tasks is answered, and what it teaches is written into a playbook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctxeng.cli.common import JsonFlag, emit, note, playbook_file
from ctxeng.errors import BadInput, CtxengError, MissingExtra, UnknownName

if TYPE_CHECKING:
    from ctxeng.cli.runs import Run
    from ctxeng.cli.session import Outcome, Session

MODES = ("online", "offline", "eval")
INTERRUPTED = 130


def learn(
    playbook: Annotated[Path, typer.Argument(help="The playbook's YAML file; made where there is none.")],
    tasks: Annotated[str, typer.Argument(help="JSON lines, or a dataset: finer, bbh:navigate, metatool.")],
    mode: Annotated[
        str | None, typer.Option(help="online: test, then learn; offline: epochs; eval: only answer.")
    ] = None,
    window: Annotated[
        int | None, typer.Option(min=1, help="online: tasks answered before learning from them.")
    ] = None,
    every: Annotated[int | None, typer.Option(min=1, help="Turns a learning step.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="offline: passes over the tasks.")] = None,
    validation: Annotated[
        str | None, typer.Option(help="offline: tasks that tell which version is best.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="onbox, cassette:FILE, or <provider>/<model>.")] = None,
    strategy: Annotated[str | None, typer.Option(help="How to learn: auto, ace, onbox.")] = None,
    judge: Annotated[
        str | None, typer.Option(help="exact, numeric, contains, overlap; none learns without labels.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many tasks.")] = None,
    shuffle: Annotated[int | None, typer.Option(metavar="SEED", help="Shuffle the tasks first.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over instead of resuming.")] = False,
    baseline: Annotated[
        bool, typer.Option(help="Answer the stream first with the playbook as it is: before and after.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Where the learning curve goes: .png or .svg.", show_default=False)
    ] = None,
    no_plot: Annotated[bool, typer.Option("--no-plot", help="No picture.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="The whole YAML diff, however long.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Answer a stream of tasks and learn from it.

    Example: [bold]ctxeng learn support.yaml tickets.jsonl --baseline[/bold]

    A task is a line such as {"question": "...", "choices": ["a", "b"], "target": "a"}

    A run that was cut off, however hard, is resumed by the same command.

    With --json: one line a step, and the report last.
    """
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
    run, outcome = _conducted(session, fresh, as_json)
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


def _conducted(session: Session, fresh: bool, as_json: bool) -> tuple[Run, Outcome]:
    """The run, conducted; cut off, it says what was kept."""
    run = None
    try:
        session.learning  # noqa: B018 - what cannot work should say so before a run is started
        run = session.run(fresh=fresh)
        _announce(session, run, as_json)
        outcome = session.conduct(run, as_json=as_json)
    except KeyboardInterrupt as error:
        session.close()
        _cut_off(session, run, as_json)
        raise typer.Exit(INTERRUPTED) from error
    except CtxengError:
        session.close()
        if run is not None and run.answered():
            note(f"run {run.id} is kept; the same command resumes it")
        raise
    session.close()
    return run, outcome


def _announce(session: Session, run: Run, as_json: bool) -> None:
    done = run.answered() if run.resumed else 0
    model = session.app.models.role("answer").name
    if as_json:
        start = {"event": "started", "run": run.id, "mode": session.mode, "model": model}
        emit({**start, "total": len(session.tasks), "resumed": done})
        return
    note(f"{session.path}: {session.mode}, {len(session.tasks):,} tasks, model {model}, run {run.id}")
    if run.resumed:
        note(f"resumed at {done:,} of {len(session.tasks):,} (--fresh starts over)")


def _cut_off(session: Session, run: Run | None, as_json: bool) -> None:
    if run is None:
        note("interrupted before the first task; nothing was changed")
        return
    done, entries = run.answered(), len(session.app.store.playbook.own)
    if as_json:
        emit({"event": "interrupted", "run": run.id, "done": done, "entries": entries})
        return
    note(
        f"interrupted: {done:,} of {len(session.tasks):,} tasks are answered and kept, {session.path} holds "
        f"{entries:,} entries\nresume with the same command, start over with --fresh, take steps back with: "
        f"ctxeng playbook undo {session.path}"
    )


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
