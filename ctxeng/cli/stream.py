"""The tasks of a run: from a file or a dataset's name, in the order and number that was asked for."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from ctxeng.errors import BadInput, MissingExtra
from ctxeng.extras import installed
from ctxeng.tasks import EXAMPLE, needs_truths, read_tasks
from ctxeng.turn import Task


def tasks_named(name: str, judge: str) -> list[Task]:
    """The tasks of a JSON-lines file, or of a dataset such as `finer` or `bbh:navigate`.

    Raises BadTask for a line that is none, and for a task without a target unless the judge is none.
    """
    path = Path(name)
    tasks = _from_file(path) if path.exists() or path.suffix == ".jsonl" else _from_dataset(name)
    if judge != "none":
        needs_truths(path, tasks)
    return tasks


def ordered(tasks: Sequence[Task], seed: int | None, limit: int | None) -> list[Task]:
    """The tasks, shuffled where there is a seed, and then the first ones; groups stay together."""
    groups: dict[str, list[Task]] = {}
    for number, task in enumerate(tasks):
        groups.setdefault(task.group or f"\0{number}", []).append(task)
    if seed is None:
        return list(tasks)[:limit]
    shuffled = list(groups.values())
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - an order that can be repeated, not a secret
    return [task for group in shuffled for task in group][:limit]


def _from_file(path: Path) -> list[Task]:
    if path.is_dir():
        raise BadInput(f"{path} is a directory; name a file of tasks, one JSON object a line: {EXAMPLE}")
    if path.suffix in {".yaml", ".yml"}:
        raise BadInput(f"{path}: tasks are JSON lines (the playbook comes first, then the tasks)")
    return read_tasks(path)


def _from_dataset(name: str) -> list[Task]:
    if not installed("ctxeng_evals"):
        raise BadInput(f"{name}: no such file") from MissingExtra("all", "ctxeng_evals")
    from ctxeng_evals.datasets import load_tasks  # noqa: PLC0415 - only where a dataset is named

    try:
        return load_tasks(name)
    except BadInput as error:
        raise BadInput(f"{name}: no such file, and as a dataset: {error}") from error
