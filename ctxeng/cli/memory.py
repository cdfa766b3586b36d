"""`ctxeng memory`: what sessions hold, what is found in them, forgetting, and export."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctxeng.cli.common import JsonFlag, emit, note, out
from ctxeng.errors import BadInput

if TYPE_CHECKING:
    from ctxeng.memory.session import Session
    from ctxeng.settings import App
    from ctxeng.turn import Scope

app = typer.Typer(no_args_is_help=True, help="Memory: look into sessions, search, forget, export.")

AppFile = Annotated[Path, typer.Argument(help="The settings file whose memory is meant.")]
Tenant = Annotated[str, typer.Option(help="Whose: the tenant.")]
User = Annotated[str, typer.Option(help="Whose: the user.")]
SessionName = Annotated[str, typer.Option("--session", help="The session.")]
_TEXT = 90  # characters of a text in a table


@app.command("show")
def show(
    file: AppFile,
    session: SessionName = "",
    tenant: Tenant = "",
    user: User = "",
    as_json: JsonFlag = False,
) -> None:
    """The sessions of a memory; with --user, the facts known of them; with --session, what its window shows.

    Example: [bold]ctxeng memory show my.yaml --user ada --session monday[/bold]

    A fact that was said otherwise before stands with what it was, so that contradictions are seen.
    """
    with _opened(file) as opened:
        scope = _scope(tenant, user, session)
        if not session:
            _list(opened, scope, as_json=as_json)
            return
        held = _session(opened, scope)
        view = held.view
        rows = [
            {"id": unit.head.id, "role": m.role, "tokens": price, "text": m.text or str(m.calls)}
            for unit in (*view.kept, *view.units)
            for m, price in unit.shown(view.shape, view.price)
        ]
    faults = [f"{fault.kind} result of {fault.call_id!r} (m{fault.number})" for fault in view.faults]
    if as_json:
        emit({"summary": view.summary, "shown": rows, "tokens": view.tokens, "records": len(view.records)})
        return
    if view.summary:
        out().print(f"Summary of m1 to m{view.upto}:\n{view.summary}\n")
    _print(
        ("id", "role", "tokens", "text"),
        [(row["id"], row["role"], row["tokens"], row["text"]) for row in rows],
    )
    out().print(f"\n{view.tokens:,} tokens shown of {len(view.records)} records, {len(view.edits)} edits")
    for fault in faults:
        note(fault)


@app.command("search")
def search(
    file: AppFile,
    query: Annotated[str, typer.Argument(help="What to look for.")],
    *,
    session: SessionName = "",
    tenant: Tenant = "",
    user: User = "",
    count: Annotated[int, typer.Option("-k", help="How many.", min=1)] = 5,
    since: Annotated[str, typer.Option(help="Not before this time, for example 2026-03-01.")] = "",
    until: Annotated[str, typer.Option(help="Not after this time.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """What one user's sessions say about something, best first, by words and by meaning.

    Example: [bold]ctxeng memory search my.yaml "which airline does she prefer" --user ada -k 3[/bold]
    """
    with _opened(file) as opened:
        scope = _scope(tenant, user, session)
        best = opened.memory.recall.search(query, scope, count, since=since, until=until)
        found = [
            {
                "ref": each.ref,
                "score": each.score,
                "role": each.records[0].message.role,
                "time": each.records[0].time,
                "text": each.text,
            }
            for each in best
        ]
    if as_json:
        emit(found)
        return
    rows = [(f"{row['score']:.2f}", row["ref"], row["role"], row["time"], row["text"]) for row in found]
    _print(("score", "ref", "role", "time", "text"), rows)


@app.command("forget")
def forget(
    file: AppFile,
    *,
    session: SessionName = "",
    tenant: Tenant = "",
    user: User = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Remove everything of a tenant, a user or a session: memory, turn log, bodies, checkpoints, vectors.

    Example: [bold]ctxeng memory forget my.yaml --user ada[/bold]

    Stop the app first. Playbook entries stay: see `ctxeng playbook redact`.
    """
    from ctxeng.forgetting import forget as forgotten  # noqa: PLC0415 - numpy

    scope = _scope(tenant, user, session)
    whose = ", ".join(f"{name} {value!r}" for name, value in scope.model_dump().items() if value)
    if not whose:
        raise BadInput("say whose: --tenant, --user or --session")
    with _opened(file, needed=False) as opened:
        if not yes and not as_json and not typer.confirm(f"forget everything of {whose}?"):
            raise typer.Abort
        report = forgotten(opened, scope)
    if as_json:
        emit(report)
        return
    counts = [f"{count} {name}" for name, count in report.model_dump().items() if count]
    out().print(f"forgotten of {whose}: {', '.join(counts) or 'there was nothing'}")


@app.command("export")
def export(
    file: AppFile,
    session: SessionName,
    tenant: Tenant = "",
    user: User = "",
    segments: Annotated[
        bool, typer.Option("--segments", help="What the model saw from one edit to the next, a line each.")
    ] = False,
) -> None:
    """A session as JSON lines: its records, or its complete segments (SUPO's training form).

    Example: [bold]ctxeng memory export my.yaml --session monday --segments > segments.jsonl[/bold]
    """
    from ctxeng.memory.segments import segments as cut  # noqa: PLC0415 - pydantic

    with _opened(file) as opened:
        held = _session(opened, _scope(tenant, user, session))
        if not segments:
            for record in held.view.records:
                emit(record)
            return
        for segment in cut(held.view.records, held.view.edits, held.price):
            emit(
                {
                    "messages": [message.model_dump(mode="json") for message in segment.messages],
                    "cut": segment.cut,
                    "text": segment.text,
                    "records": [segment.start, segment.end],
                }
            )


def _list(opened: App, scope: Scope, *, as_json: bool) -> None:
    from ctxeng.memory.facts import states  # noqa: PLC0415 - a stemmer

    known = opened.memory.store.sessions(scope)
    rows = [
        {**each.scope.model_dump(), "records": each.records, "edits": each.edits, "last": each.last}
        for each in known
    ]
    if as_json:
        emit(rows)
        return
    names = ("tenant", "user", "session", "records", "edits", "last")
    _print(names, [tuple(row[name] for name in names) for row in rows])
    out().print(f"\n{len(rows)} sessions")
    if scope.user:
        for state in states(opened.memory.store.facts(scope)).values():
            out().print(f"- {state.text}")


def _session(opened: App, scope: Scope) -> Session:
    held = opened.memory.memory.session(scope)
    if not held.view.records:
        raise BadInput(f"there is no session {scope.session!r} of this tenant and user; see `memory show`")
    return held


def _scope(tenant: str, user: str, session: str) -> Scope:
    from ctxeng.turn import Scope  # noqa: PLC0415 - pydantic

    return Scope(tenant=tenant, user=user, session=session)


@contextmanager
def _opened(file: Path, *, needed: bool = True) -> Iterator[Any]:
    from ctxeng.settings import open_app  # noqa: PLC0415 - pydantic

    opened = open_app(file)
    if needed and not opened.memory.kept:
        raise BadInput(
            f"{file}: its memory has no store; set context.sources.memory.store, e.g. sqlite:./memory.db"
        )
    try:
        yield opened
    finally:
        opened.memory.close()


def _print(heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    from ctxeng.cli.tables import cells, simple_table  # noqa: PLC0415 - rich tables

    table = simple_table(*heads, right=("score", "tokens", "records", "edits"))
    for row in rows:
        table.add_row(*(cells(cell, _TEXT) for cell in row))
    out().print(table)
