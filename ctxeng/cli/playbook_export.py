"""A playbook as one file that stands alone, and the JSON Schema of such files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctxeng.cli.common import JsonFlag, emit
from ctxeng.cli.playbook_show import PlaybookPath, opened, row_of, words_of
from ctxeng.errors import BadInput, UnknownName

if TYPE_CHECKING:
    from ctxeng.playbook.book import Playbook

FORMATS = ("yaml", "json", "ace")


def export(
    playbook: PlaybookPath,
    with_stats: Annotated[
        bool, typer.Option("--with-stats", help="Votes and provenance too (YAML: as comments).")
    ] = False,
    form: Annotated[str, typer.Option("--format", help="yaml, json, or ace (ACE's text format).")] = "yaml",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file instead of stdout.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write the whole playbook, what it extends included, as one file that stands alone.

    Example: [bold]ctxeng playbook export support.yaml --with-stats -o review.yaml[/bold]
    """
    form = "json" if as_json else form
    if form not in FORMATS:
        raise UnknownName("format", form, FORMATS)
    text = _exported(opened(playbook).playbook, form, with_stats)
    if output is None:
        print(text, end="")
        return
    if output.is_dir() or not output.parent.is_dir():
        raise BadInput(f"{output}: no file can be written there")
    output.write_text(text, encoding="utf-8")


def schema() -> None:
    """Print the JSON Schema of the YAML file, for editors.

    Example: [bold]ctxeng playbook schema > ctxeng.schema.json[/bold]
    """
    from ctxeng.settings_schema import json_schema  # noqa: PLC0415 - half a second

    emit(json_schema())


def _exported(book: Playbook, form: str, with_stats: bool) -> str:
    from ctxeng.playbook.ace_text import write_ace  # noqa: PLC0415 - pydantic
    from ctxeng.playbook.yamlfile import dump  # noqa: PLC0415

    if form == "ace":
        return write_ace(book)
    if form == "json":
        bare = [entry.model_dump(mode="json") for entry in book.entries]
        rows = [row_of(book, entry) for entry in book.entries] if with_stats else bare
        document = {"playbook": book.name, "version": book.version, "entries": rows}
        return json.dumps(document, ensure_ascii=False, indent=1) + "\n"
    lines = [f"ctxeng: {book.schema}\n", f"playbook: {json.dumps(book.name)}\n", "entries:"]
    lines.append("\n" if len(book) else " []\n")
    for entry in book.entries:
        lines.append(dump(entry, "  "))
        if with_stats:
            row = row_of(book, entry)
            lines.append(f"    # {words_of(row['votes'])}; {json.dumps(row['provenance'])}\n")
    return "".join(lines)
