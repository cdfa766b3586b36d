"""Changing a playbook by hand: undo, rollback, merge, import, redact."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctxeng.cli.common import JsonFlag, clipped, emit, note, out, person, read_text
from ctxeng.cli.playbook_show import PlaybookPath, opened, version_named
from ctxeng.errors import BadInput

if TYPE_CHECKING:
    from ctxeng.playbook.book import Playbook
    from ctxeng.playbook.delta import Delta
    from ctxeng.playbook.merge3 import MergeConflict
    from ctxeng.playbook.store import PlaybookStore


def undo(
    playbook: PlaybookPath,
    count: Annotated[int, typer.Argument(min=1, help="How many steps.")] = 1,
    as_json: JsonFlag = False,
) -> None:
    """Take the last steps back, exactly; doing it again goes further back.

    Example: [bold]ctxeng playbook undo support.yaml 3[/bold]
    """
    store = opened(playbook)
    before = store.playbook
    store.undo(count, by=person())
    _changed(store, before, as_json)


def rollback(
    playbook: PlaybookPath,
    version: Annotated[str, typer.Argument(help="A version, its beginning, or ~N for N steps ago.")],
    as_json: JsonFlag = False,
) -> None:
    """Bring back an earlier version; the journal keeps what was since.

    Example: [bold]ctxeng playbook rollback support.yaml 4f1c2a[/bold] (see [bold]ctxeng playbook log[/bold])
    """
    from ctxeng.playbook.book import Playbook  # noqa: PLC0415 - pydantic
    from ctxeng.playbook.diff import edits  # noqa: PLC0415

    store = opened(playbook)
    before = store.playbook
    wanted = version_named(store, version)
    if wanted == Playbook().version:  # where every journal begins, before its first record
        why = "rollback to the empty playbook"
        store.apply(edits(before, (), by=person()), by=person(), why=why)
    else:
        store.rollback(wanted, by=person())
    _changed(store, before, as_json)


def merge(
    base: Annotated[Path, typer.Argument(help="The common ancestor.")],
    ours: Annotated[Path, typer.Argument(metavar="A", help="One side; its order and settings stand.")],
    theirs: Annotated[Path, typer.Argument(metavar="B", help="The other side.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the merged playbook goes.")],
    as_json: JsonFlag = False,
) -> None:
    """Merge two versions of a playbook by entry; conflicts are listed, and A's side stands (exit code 1).

    Example: [bold]ctxeng playbook merge base.yaml mine.yaml yours.yaml -o support.yaml[/bold]

    As a git merge driver: ctxeng playbook merge %O %A %B -o %A
    """
    from ctxeng.playbook.merge3 import merge as merged  # noqa: PLC0415 - pydantic
    from ctxeng.playbook.splice import splice  # noqa: PLC0415
    from ctxeng.storage.atomic import write_atomic  # noqa: PLC0415

    sides = [_parsed(path) for path in (base, ours, theirs)]
    result = merged(*sides)
    if not output.parent.is_dir():
        raise BadInput(f"{output}: there is no folder {output.parent}")
    write_atomic(output, splice(read_text(ours), sides[1].own, result.playbook.own))
    if as_json:
        emit({"output": str(output), "entries": len(result.playbook), "conflicts": result.conflicts})
    else:
        out().print(f"{output}: {len(result.playbook):,} entries, {len(result.conflicts)} conflicts")
        for conflict in result.conflicts:
            _show_conflict(conflict)
    if result.conflicts:
        raise typer.Exit(1)


def import_file(
    playbook: PlaybookPath,
    file: Annotated[Path, typer.Argument(help="ACE's text format, or another playbook's YAML.")],
    as_json: JsonFlag = False,
) -> None:
    r"""Add the entries of a file: of ACE's text format, or of another playbook.

    Example: [bold]ctxeng playbook import support.yaml ace_playbook.txt[/bold]

    A line of ACE's format: \[id] helpful=3 harmful=1 :: what it says

    Lines that are not understood are listed with their numbers (exit code 1).
    """
    store = opened(playbook)
    deltas, problems = _deltas(store.playbook, file)
    if not deltas and not problems:
        note(f"{file}: nothing new in it")
    before = store.playbook
    if deltas:
        store.apply(deltas, by=person(), why=f"import of {file.name}")
    _changed(store, before, as_json, problems=[f"{file}:{line}: {what}" for line, what in problems])
    if problems:
        raise typer.Exit(1)


def redact(
    playbook: PlaybookPath,
    entry: Annotated[str | None, typer.Argument(help="An entry: all that it ever said.")] = None,
    pattern: Annotated[str | None, typer.Option(help="A literal text, wherever it stands.")] = None,
    why: Annotated[str, typer.Option(help="The reason, for the journal.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Take a text out of the playbook, its journal and its caches for good. There is no undo.

    Example: [bold]ctxeng playbook redact support.yaml --pattern "jane@example.org" --why asked[/bold]
    """
    from ctxeng.cli.traces import traces  # noqa: PLC0415 - settings take half a second

    if bool(entry) == bool(pattern):
        raise BadInput("give an entry's id or --pattern, one of them")
    store = opened(playbook)
    words = [pattern] if pattern else []
    if entry:
        found = store.playbook.get(entry)
        words = [text for text in (found.text, found.when) if text]
    if not yes:
        if not sys.stdin.isatty():
            raise BadInput("a redaction cannot be undone; --yes says that you mean it")
        typer.confirm(
            f"Take {entry or 'every ' + repr(pattern)} out of {playbook} for good?", abort=True, err=True
        )
    places = store.redact(entry or "", pattern=pattern or "", by=person(), why=why)
    store.close()
    left = traces(playbook, words)
    if as_json:
        emit({"places": places, "left": left})
        return
    for place in places:
        out().print(place)
    for place in left:
        note(f"still there: {place}")
    note("commits of a git repository, and backups, are beyond reach")


def _changed(
    store: PlaybookStore, before: Playbook, as_json: bool, problems: list[str] | None = None
) -> None:
    """Write the YAML, and show what differs."""
    from ctxeng.cli.report import show_diff  # noqa: PLC0415 - rich tables
    from ctxeng.playbook.diff import diff, text_diff  # noqa: PLC0415 - pydantic

    after = store.commit()
    store.close()
    if as_json:
        result: dict[str, Any] = {"old": before.version, "new": after.version, "changes": diff(before, after)}
        emit(result if problems is None else {**result, "problems": problems})
        return
    show_diff(text_diff(before, after), whole=False)
    for problem in problems or []:
        note(problem)
    out().print(f"{before.version} → {after.version}, {len(after):,} entries")


def _parsed(path: Path) -> Playbook:
    from ctxeng.playbook.book import Playbook  # noqa: PLC0415 - pydantic
    from ctxeng.playbook.yamlfile import parse  # noqa: PLC0415

    found = parse(read_text(path), str(path))
    return Playbook.of(found.entries, found.name or path.stem)


def _deltas(book: Playbook, file: Path) -> tuple[list[Delta], list[tuple[int, str]]]:
    """What adds the file's entries, and what was not understood; entries that are there already are left."""
    from ctxeng.playbook.ace_text import read_ace  # noqa: PLC0415 - pydantic
    from ctxeng.playbook.delta import Add  # noqa: PLC0415

    if file.suffix not in {".yaml", ".yml"}:
        imported = read_ace(read_text(file), book)
        if not imported.deltas and not imported.problems:
            raise BadInput(f"{file}: no entries; a line looks like [id] helpful=1 harmful=0 :: text")
        return list(imported.deltas), list(imported.problems)
    deltas: list[Delta] = []
    problems: list[tuple[int, str]] = []
    for number, entry in enumerate(_parsed(file).own, 1):
        if not book.taken(entry.id):
            deltas.append(Add(entry=entry))
        elif entry.id not in book or book.get(entry.id) != entry:
            problems.append((number, f"entry {number}: the id {entry.id} is in use for another one"))
    return deltas, problems


def _show_conflict(conflict: MergeConflict) -> None:
    console = out()
    console.print(f"conflict {conflict.id}: {conflict.why}", style="red")
    for side in ("base", "a", "b"):
        entry = getattr(conflict, side)
        said = "(not there)" if entry is None else clipped(f"{entry.when} -> {entry.text}", 90)
        console.print(f"  {side:<5}{said}")
