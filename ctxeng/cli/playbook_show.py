"""What a playbook holds and how it came to that: show, log, diff, stats."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctxeng.cli.common import JsonFlag, clipped, emit, out, plain, playbook_file, read_text
from ctxeng.errors import BadInput, UnknownName

if TYPE_CHECKING:
    from ctxeng.playbook.book import Playbook
    from ctxeng.playbook.entry import Entry
    from ctxeng.playbook.journal import Record
    from ctxeng.playbook.store import PlaybookStore

PlaybookPath = Annotated[Path, typer.Argument(help="The playbook's YAML file.")]
_COLUMNS = 20  # characters for the votes and between the columns
STATUSES = ("candidate", "active", "frozen", "retired")


def show(
    playbook: PlaybookPath,
    entry: Annotated[str | None, typer.Option(help="One entry: votes, provenance, history.")] = None,
    section: Annotated[str | None, typer.Option(help="Only this section.")] = None,
    status: Annotated[
        str | None, typer.Option(help="Only candidate, active, frozen or retired ones.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List the entries with their votes.

    Example: [bold]ctxeng playbook show support.yaml --entry cases-k7q2m[/bold]
    """
    if status is not None and status not in STATUSES:
        raise UnknownName("status", status, STATUSES)
    store = opened(playbook)
    book = store.playbook
    if entry is not None:
        _show_entry(store, entry, as_json)
        return
    entries = [
        each
        for each in book.entries
        if (section is None or each.section == section) and (status is None or each.status == status)
    ][:limit]
    if as_json:
        rows = [row_of(book, each) for each in entries]
        emit({"playbook": book.name, "version": book.version, "count": len(book), "entries": rows})
        return
    from ctxeng.cli.tables import simple_table  # noqa: PLC0415 - rich tables

    console = out()
    columns = [[each.id for each in entries], [each.section for each in entries], ["candidate"]]
    widths = [max(map(len, column), default=0) for column in columns]
    room = max(30, console.width - sum(widths) - _COLUMNS)
    table = simple_table("entry", "section", "+", "-", "status", "when -> text", right=("+", "-"))
    for each in entries:
        votes = book.votes(each.id)
        counted = [str(votes[name]) if votes.get(name) else "" for name in ("helpful", "harmful")]
        table.add_row(each.id, each.section, *counted, each.status, _said(each, room))
    console.print(table)
    shown = f"{len(entries):,} of " if len(entries) < len(book) else ""
    console.print(f"{shown}{len(book):,} entries, {book.name} at version {book.version}", style="dim")


def log(
    playbook: PlaybookPath,
    entry: Annotated[str | None, typer.Option(help="Only what changed this entry.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
    as_json: JsonFlag = False,
) -> None:
    """Who changed what, when and why; the newest first.

    Example: [bold]ctxeng playbook log support.yaml --limit 5[/bold]
    """
    store = opened(playbook)
    records = store.log(entry, limit)
    if as_json:
        emit([_record(record) for record in records])
        return
    from ctxeng.cli.deltas import counted, counts, sentence  # noqa: PLC0415 - pydantic
    from ctxeng.cli.tables import simple_table  # noqa: PLC0415 - rich tables

    table = simple_table("when", "who", "what", "why", "version")
    for record in records:
        body = record.body
        deltas = body.deltas
        what = sentence(deltas[0], 60) if len(deltas) == 1 else counted(counts(deltas))
        table.add_row(body.time[:19], clipped(body.by, 24), what, clipped(body.why, 32), body.after)
    out().print(table)


def diff(
    playbook: PlaybookPath,
    old: Annotated[
        str | None, typer.Argument(help="A version, ~N for N steps ago, or another playbook's file.")
    ] = None,
    new: Annotated[
        str | None, typer.Argument(help="A version; the playbook as it is now if left out.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """What differs: between versions, or from one file to another; without either, the last step.

    Examples: [bold]ctxeng playbook diff support.yaml ~3[/bold],
    [bold]ctxeng playbook diff a.yaml b.yaml[/bold]
    """
    from ctxeng.playbook import diff as differ  # noqa: PLC0415 - pydantic takes a tenth of a second

    store = opened(playbook)
    if old is not None and Path(old).is_file():
        if new is not None:
            raise BadInput("two files are compared as they are, without a version")
        before, after = store.playbook, opened(Path(old)).playbook
    else:
        before = _state(store, version_named(store, old or "~1"))
        after = _state(store, version_named(store, new)) if new else store.playbook
    changes = differ.diff(before, after)
    if as_json:
        emit({"old": before.version, "new": after.version, "changes": changes})
        return
    from ctxeng.cli.report import show_diff  # noqa: PLC0415 - with what it shows

    show_diff(differ.text_diff(before, after), whole=True)
    if not changes:
        out().print(f"nothing differs between {before.version} and {after.version}")


def stats(playbook: PlaybookPath, as_json: JsonFlag = False) -> None:
    """Figures: entries by status and section, votes, the journal.

    Example: [bold]ctxeng playbook stats support.yaml --json[/bold]
    """
    store = opened(playbook)
    found = store.stats()
    if as_json:
        emit({**found.model_dump(mode="json"), "notes": list(store.notes)})
        return
    from ctxeng.cli.tables import simple_table  # noqa: PLC0415 - rich tables

    table = simple_table("figure", "value")
    for name, value in found:
        words = (
            words_of(value)
            if isinstance(value, Mapping)
            else f"{value:,}"
            if isinstance(value, int)
            else value
        )
        table.add_row(name.replace("_", " "), plain(str(words)))
    for each in store.notes:
        table.add_row("note", plain(each))
    out().print(table)


def opened(path: Path) -> PlaybookStore:
    """The store of that file, open. Raises BadInput."""
    from ctxeng.playbook.store import PlaybookStore  # noqa: PLC0415 - pydantic takes a tenth of a second

    playbook_file(path)
    read_text(path)  # a directory, a binary or a locked file is named as such
    store = PlaybookStore(path)
    store.open()
    return store


def version_named(store: PlaybookStore, name: str) -> str:
    """The version that is meant: whole, by how it begins, or as ~N, N steps ago. Raises UnknownName."""
    past = [record.body.before for record in store.log()]
    versions = [store.playbook.version, *past]
    if name.startswith("~") and name[1:].isdecimal():
        steps = int(name[1:])
        if steps >= len(versions):
            raise BadInput(f"{name}: the journal goes {len(past)} steps back")
        return versions[steps]
    found = {version for version in versions if version.startswith(name)}
    if len(found) > 1:
        raise BadInput(f"version {name} is ambiguous: {', '.join(sorted(found))}")
    if not found:
        raise UnknownName("version", name, tuple(dict.fromkeys(versions))[:8])
    return found.pop()


def _show_entry(store: PlaybookStore, name: str, as_json: bool) -> None:
    from ctxeng.cli.deltas import sentence  # noqa: PLC0415 - pydantic

    book = store.playbook
    row = row_of(book, book.get(name))
    history = store.log(name)
    if as_json:
        emit({**row, "history": [_record(record) for record in history]})
        return
    console = out()
    for field, value in row.items():
        shown = words_of(value) if isinstance(value, Mapping) else value
        console.print(f"{field:<11}", style="bold", end=" ")
        console.print(plain(str(shown)) or "-")
    console.print("history", style="bold")
    for record in history:
        own = [delta for delta in record.body.deltas if name in delta.targets]
        for delta in own:
            said = f"  {record.body.time[:19]}  {plain(record.body.by)}  {sentence(delta)}"
            console.print(said)


def row_of(book: Playbook, entry: Entry) -> dict[str, Any]:
    """An entry with its votes and provenance, as JSON."""
    provenance = book.provenance(entry.id).model_dump(mode="json", exclude_defaults=True)
    return {
        **entry.model_dump(mode="json"),
        "votes": dict(book.votes(entry.id)),
        "provenance": provenance,
    }


def _record(record: Record) -> dict[str, Any]:
    fields = ("time", "by", "why", "deltas", "before", "after", "undoes", "notes")
    return {"hash": record.hash, **{name: getattr(record.body, name) for name in fields}}


def _state(store: PlaybookStore, version: str) -> Playbook:
    from ctxeng.playbook.book import Playbook  # noqa: PLC0415 - pydantic

    empty = Playbook(store.playbook.name)  # where every journal begins, before its first record
    return empty if version == empty.version else store.state_at(version)


def _said(entry: Entry, width: int) -> str:
    return clipped(f"{entry.when} -> {entry.text}" if entry.when else entry.text, width)


def words_of(value: Mapping[str, Any]) -> str:
    """Counters in words."""
    return ", ".join(f"{key} {number}" for key, number in value.items()) or "-"
