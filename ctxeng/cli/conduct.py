"""A run of `ctxeng learn` from its announcement to its end, or to where it was cut off."""

from __future__ import annotations

import typer

from ctxeng.cli.common import emit, note
from ctxeng.cli.runs import Run
from ctxeng.cli.session import Outcome, Session
from ctxeng.errors import CtxengError

INTERRUPTED = 130


def conducted(session: Session, fresh: bool, as_json: bool) -> tuple[Run, Outcome]:
    """The run, conducted; cut off, it says what was kept."""
    run = None
    try:
        session.check()
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
