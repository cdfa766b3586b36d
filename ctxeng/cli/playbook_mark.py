"""`ctxeng playbook mark`: a person's word on entries: accepted, frozen, retired."""

from __future__ import annotations

from typing import Annotated, get_args

import typer

from ctxeng.cli.common import JsonFlag, emit, out, person
from ctxeng.cli.playbook_show import PlaybookPath, opened
from ctxeng.errors import UnknownName


def mark(
    playbook: PlaybookPath,
    status: Annotated[str, typer.Argument(help="active (accept a candidate), frozen, retired or candidate.")],
    ids: Annotated[list[str], typer.Argument(help="Ids of entries; for `all`, every candidate.")],
    as_json: JsonFlag = False,
) -> None:
    """Say what you think of entries after reading them.

    A candidate becomes advice when you accept it; a frozen entry is never changed or evicted by learning,
    and is trusted whatever it was learned from.

    Example: [bold]ctxeng playbook mark support.yaml active cases-k7q2m[/bold]
    """
    from ctxeng.playbook.delta import Update  # noqa: PLC0415 - pydantic
    from ctxeng.playbook.entry import Status  # noqa: PLC0415

    if status not in get_args(Status):
        raise UnknownName("status", status, get_args(Status))
    store = opened(playbook)
    candidates = [entry.id for entry in store.playbook.own if entry.status == "candidate"]
    wanted = candidates if ids == ["all"] else ids
    updates = [Update(id=store.playbook.get(each).id, status=status) for each in wanted]
    if updates:
        store.apply(updates, by=person(), why=f"marked {status}")
    store.close()
    if as_json:
        emit({"status": status, "ids": wanted})
    else:
        out().print(f"{len(wanted)} entries are {status}")
