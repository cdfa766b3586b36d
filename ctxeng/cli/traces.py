"""Where a text that was taken out of a playbook still stands: unfinished runs, turn logs, cassettes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from ctxeng.settings import read


def traces(playbook: Path, words: Sequence[str]) -> list[str]:
    """The files beside the playbook that hold one of these texts, each with what helps."""
    needles = {each.encode() for word in words for each in _as_written(word)}
    return [
        f"{file} ({advice})"
        for file, advice in _files(playbook)
        if file.is_file() and any(needle in file.read_bytes() for needle in needles)
    ]


def _files(playbook: Path) -> Iterator[tuple[Path, str]]:
    folder = playbook.parent
    for file in sorted((folder / ".ctxeng" / "runs").rglob("*.json*")):
        yield file, "an unfinished run: finish it, or delete its folder"
    settings = read(playbook)
    if settings.log:
        yield folder / settings.log, "the turn log: TurnLog.forget(scope) removes a user's turns"
    models = [settings.models.answer, *settings.models.others.values()]
    for name in {model.cassette or model.id.partition("cassette:")[2] for model in models} - {""}:
        yield folder / name, "a cassette: record it anew"


def _as_written(word: str) -> set[str]:
    return {word, json.dumps(word)[1:-1], json.dumps(word, ensure_ascii=False)[1:-1]}
