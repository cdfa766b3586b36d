"""`ctxeng doctor`: what is installed, which models can run here, and whether the default one answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctxeng.cli.common import JsonFlag, emit, notes, out, plain

if TYPE_CHECKING:
    from ctxeng.cli.checks import Check


def doctor(
    quick: Annotated[
        bool, typer.Option("--quick", help="Without the self-test, which loads the encoder (seconds).")
    ] = False,
    plan: Annotated[
        Path | None, typer.Option(help="A folder of weights: what it will take, before it is loaded.")
    ] = None,
    context: Annotated[int, typer.Option(help="With --plan: tokens of prompt and answer.", min=1)] = 8192,
    as_json: JsonFlag = False,
) -> None:
    """Say what is installed, which models and backends work, and what works offline.

    Example: [bold]ctxeng doctor[/bold] (exit code 1 where the default model cannot run),
    [bold]ctxeng doctor --plan ./qwen --context 32768[/bold]
    """
    if plan is not None:
        from ctxeng.cli.footprint import show  # noqa: PLC0415 - torch

        show(plan, context, as_json=as_json)
        return
    from ctxeng.cli.checks import examine, self_test  # noqa: PLC0415 - pydantic

    checks = examine()
    if not quick:
        if not as_json and notes().is_terminal:
            with notes().status("answering one question with onbox ..."):
                checks += self_test()
        else:
            checks += self_test()
    failed = any(check.vital and check.state == "missing" for check in checks)
    if as_json:
        emit({"ok": not failed, "checks": [check.__dict__ for check in checks]})
    else:
        _show(checks, failed)
    if failed:
        raise typer.Exit(1)


def _show(checks: Sequence[Check], failed: bool) -> None:
    from rich.text import Text  # noqa: PLC0415 - rich tables

    from ctxeng.cli.tables import simple_table  # noqa: PLC0415

    marks = {"ok": ("ok", "green"), "missing": ("missing", "red"), "note": ("-", "dim")}
    table = simple_table("area", "what", "state", "detail")
    area = ""
    for check in checks:
        word, style = marks[check.state]
        is_optional = check.state == "missing" and not check.vital
        mark = Text("not there" if is_optional else word, style="yellow" if is_optional else style)
        table.add_row(check.area if check.area != area else "", check.what, mark, plain(check.detail))
        area = check.area
    out().print(table)
    if failed:
        out().print("\nThe default model cannot run here; see what is missing above.", style="bold red")
    else:
        out().print(Text.assemble(("\nReady.", "bold green"), ' Try: ctxeng run "..." --doc FILE'))
