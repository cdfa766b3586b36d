"""`ctxeng eval data`: which datasets there are, whether they are here and right, and fetching them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctxeng.cli.common import JsonFlag, emit, note, out
from ctxeng.errors import BadInput, UnknownName

app = typer.Typer(no_args_is_help=True, help="The registered datasets; they are looked for in CTXENG_DATA.")
Names = Annotated[list[str] | None, typer.Argument(help="Datasets; all of them if none is named.")]


@app.command("list")
def known(as_json: JsonFlag = False) -> None:
    """Every registered dataset with its licence, and whether its files are here."""
    from ctxeng_evals import registry  # noqa: PLC0415 - pydantic takes a tenth of a second

    found = registry.entries()
    if as_json:
        emit({name: entry.model_dump(mode="json") for name, entry in found.items()})
        return
    for name, entry in found.items():
        out().print(f"{name:<24} {entry.licence:<28} {entry.about}", soft_wrap=True)


@app.command("check")
def check(names: Names = None, as_json: JsonFlag = False) -> None:
    """Hold every file's checksum against the registry. Exit code 1 where one is missing or differs."""
    from ctxeng_evals import registry  # noqa: PLC0415

    findings = [finding for name in _chosen(names) for finding in registry.check(name)]
    wrong = [finding for finding in findings if finding.state != "ok"]
    if as_json:
        emit([{"file": each.file, "state": each.state} for each in findings])
    else:
        for each in wrong:
            out().print(f"{each.state}: {each.file}", soft_wrap=True)
        out().print(f"{len(findings) - len(wrong)} of {len(findings)} files are here and right")
    if wrong:
        raise typer.Exit(1)


@app.command("get")
def get(
    names: Annotated[list[str], typer.Argument(help="Datasets to fetch.")],
    into: Annotated[
        Path | None, typer.Option(help="The data folder; else the one CTXENG_DATA names.")
    ] = None,
) -> None:
    """Fetch datasets from their public source, each file held against its checksum before it is kept.

    Example: [bold]ctxeng eval data get metatool --into ./data[/bold]
    """
    from ctxeng_evals import datasets, registry  # noqa: PLC0415

    folder = into or datasets.folder()
    folder.mkdir(parents=True, exist_ok=True)
    for name in _chosen(names):
        for fetched in registry.get(name, folder):
            note(f"{fetched.file}: {fetched.said}")


def _chosen(names: list[str] | None) -> list[str]:
    from ctxeng_evals import registry  # noqa: PLC0415

    there = registry.entries()
    for name in names or ():
        if name not in there:
            raise UnknownName("dataset", name, list(there))
    if names == []:
        raise BadInput("name a dataset")
    return names or list(there)
