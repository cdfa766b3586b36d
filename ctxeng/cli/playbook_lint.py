"""`ctxeng playbook lint`: what is wrong with a playbook, with line and column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctxeng.cli.common import JsonFlag, clipped, emit, note, out, playbook_file, read_text
from ctxeng.cli.playbook_show import PlaybookPath
from ctxeng.errors import BadInput, MissingExtra

if TYPE_CHECKING:
    from ctxeng.playbook.book import Playbook
    from ctxeng.playbook.entry import Entry
    from ctxeng.settings_schema import Settings


@dataclass(frozen=True)
class Problem:
    """Something to mend, and where."""

    where: str
    what: str
    entry: str = ""


def lint(
    playbook: PlaybookPath,
    similar: Annotated[
        bool, typer.Option(help="Look for entries that mean the same (needs the encoder).")
    ] = True,
    as_json: JsonFlag = False,
) -> None:
    """Check a playbook: schema, duplicates, budget, entries that harm more than they help.

    Example: [bold]ctxeng playbook lint support.yaml[/bold] (exit code 1 where there are problems)
    """
    path = playbook_file(playbook)
    text = read_text(path)
    problems = list(_schema(path, text)) or list(_content(path, text, similar))
    if as_json:
        emit({"playbook": str(path), "problems": [asdict(problem) for problem in problems]})
    else:
        for problem in problems:
            out().print(f"{problem.where}: {problem.what}", soft_wrap=True)
        note(f"{path}: {len(problems)} problems" if problems else f"{path}: nothing to mend")
    if problems:
        raise typer.Exit(1)


def _schema(path: Path, text: str) -> Iterator[Problem]:
    """What keeps the file from being read."""
    from ctxeng.playbook.yamlfile import parse  # noqa: PLC0415 - pydantic
    from ctxeng.settings import read  # noqa: PLC0415 - half a second

    for check in (lambda: parse(text, str(path)), lambda: read(path)):
        try:
            check()
        except BadInput as error:
            for line in dict.fromkeys(str(error).splitlines()):
                yield _problem(line, path)
            return


def _problem(sentence: str, path: Path) -> Problem:
    where, found, what = sentence.partition(": ")
    return Problem(where, what) if found else Problem(str(path), sentence)


def _content(path: Path, text: str, similar: bool) -> Iterator[Problem]:
    """What can be read and should still be mended."""
    from ctxeng.playbook.store import PlaybookStore  # noqa: PLC0415 - pydantic
    from ctxeng.playbook.yamlfile import parse  # noqa: PLC0415
    from ctxeng.settings import read  # noqa: PLC0415 - half a second

    settings = read(path)
    store = PlaybookStore(path)
    try:
        book = store.open()
    except BadInput as error:  # a file it extends, or its journal
        yield _problem(str(error), path)
        return
    # the journal may be ahead of the file: such entries have no place yet
    places = dict(
        zip((entry.id for entry in parse(text, str(path)).entries), _places(text, path), strict=True)
    )

    for each in store.notes:
        yield Problem(str(path), each)
    for entry in book.own:
        for what in _faults(entry, book):
            yield Problem(places.get(entry.id, str(path)), what, entry.id)
    for group in _alike(book, settings, similar):
        first, *others = group
        for other in others:
            what = f"says the same as {first.id}: {clipped(other.text, 60)}"
            yield Problem(places.get(other.id, str(path)), what, other.id)
    yield from _over_budget(path, book, settings)


def _faults(entry: Entry, book: Playbook) -> Iterator[str]:
    votes = book.votes(entry.id)
    helpful, harmful = votes.get("helpful", 0), votes.get("harmful", 0)
    if harmful and harmful >= helpful and entry.status != "retired":
        yield f"{entry.id} harmed {harmful} times and helped {helpful}; mend, retire or remove it"
    if entry.when and not entry.when.strip():
        yield f"{entry.id} has a condition of white space only"
    if entry.kind == "exemplar" and not entry.when.strip():
        yield f"{entry.id} is an exemplar without a condition (when), so nothing can be compared with it"
    if entry.when.strip() and entry.when.strip() == entry.text.strip():
        yield f"{entry.id} says only its own condition"


def _alike(book: Playbook, settings: Settings, similar: bool) -> list[list[Entry]]:
    from ctxeng.extras import installed  # noqa: PLC0415 - light, with what it serves
    from ctxeng.playbook.refine import Refiner  # noqa: PLC0415 - numpy
    from ctxeng.retrieval.embed import Embedder  # noqa: PLC0415

    entries = [entry for entry in book.own if entry.status != "retired"]
    threshold = settings.learning.similar
    groups = Refiner(None, threshold).groups(entries, book)
    if similar and installed("sentence_transformers"):
        try:
            groups = Refiner(Embedder().embed, threshold).groups(entries, book)
        except MissingExtra as error:
            note(f"entries that mean the same were not looked for: {error}")
    elif similar:
        note("entries that mean the same were not looked for: pip install 'ctxeng-framework[onbox,offline]'")
    return [[entries[index] for index in group] for group in groups]


def _over_budget(path: Path, book: Playbook, settings: Settings) -> Iterator[Problem]:
    from ctxeng.playbook.refine import EntryBudget  # noqa: PLC0415 - numpy
    from ctxeng.tokens import Estimate  # noqa: PLC0415

    given = settings.learning.budget
    gone = EntryBudget(given.entries, given.tokens).evictions(book, Estimate().count)
    if gone:
        yield Problem(str(path), f"over its budget: the next learning step evicts {len(gone)} entries")


def _places(text: str, path: Path) -> list[str]:
    """Where each entry stands in the file."""
    from ctxeng.playbook.yamlfile import compose  # noqa: PLC0415 - pydantic

    root = compose(text)
    pairs = root.value if root is not None else []
    lists = [value.value for key, value in pairs if key.value == "entries"]
    marks = [item.start_mark for items in lists for item in items]
    return [f"{path}:{mark.line + 1}:{mark.column + 1}" for mark in marks]
