"""Runs of `ctxeng learn`: each has a folder, an unfinished one is found again by what it works on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ctxeng.errors import BadInput
from ctxeng.storage.atomic import write_atomic
from ctxeng.storage.progress import Progress
from ctxeng.train import ANSWERED
from ctxeng.turn import Task

RECORD = "run.json"


@dataclass(frozen=True)
class Run:
    """One run's folder; `record` is what its run.json holds."""

    folder: Path
    record: dict[str, Any]
    resumed: bool = False

    @property
    def id(self) -> str:
        """12 hexadecimal digits."""
        return self.folder.name

    @property
    def progress(self) -> Progress:
        """What was done so far."""
        return Progress(self.folder / "progress.jsonl")

    @property
    def baseline(self) -> Progress:
        """The same of the pass before anything was learned."""
        return Progress(self.folder / "baseline" / "progress.jsonl")

    def answered(self) -> int:
        """How many tasks were answered so far."""
        done = self.progress.read().items()
        return sum(len(record["turns"]) for key, record in done if key.startswith(f"{ANSWERED} "))

    def finish(self, summary: dict[str, Any]) -> None:
        """Mark it as finished; the answers, which may be private, are not kept beyond that."""
        _write(self.folder, {**self.record, "finished": _now(), "summary": summary})
        self._forget()

    def abandon(self) -> None:
        """Mark it as one that nobody will resume."""
        _write(self.folder, {**self.record, "abandoned": _now()})
        self._forget()

    def _forget(self) -> None:
        for progress in (self.progress, self.baseline):
            progress.path.unlink(missing_ok=True)


def fingerprint(tasks: Sequence[Task], options: dict[str, Any]) -> str:
    """What a run works on: the tasks' content and all options that matter."""
    digest = hashlib.sha256(json.dumps(options, sort_keys=True, default=str).encode())
    for task in tasks:
        digest.update(b"\0" + task.model_dump_json().encode())
    return digest.hexdigest()


def unfinished(folder: Path, wanted: str) -> list[Run]:
    """The runs of that fingerprint which can be resumed, the newest first."""
    found = [_read(file) for file in folder.glob(f"*/{RECORD}")]
    open_runs = [
        run
        for run in found
        if run.record.get("fingerprint") == wanted and not {"finished", "abandoned"} & set(run.record)
    ]
    return sorted(open_runs, key=lambda run: str(run.record.get("started")), reverse=True)


def start(folder: Path, wanted: str, state: str, facts: dict[str, Any]) -> Run:
    """A new run. `state` is where the playbook stands, so that no two runs share an id."""
    for counter in range(1_000_000):
        name = hashlib.sha256(f"{wanted}\0{state}\0{counter}".encode()).hexdigest()[:12]
        if not (folder / name).exists():
            break
    record = {"id": name, "fingerprint": wanted, "started": _now(), **facts}
    (folder / name).mkdir(parents=True)
    _write(folder / name, record)
    return Run(folder / name, record)


def _read(file: Path) -> Run:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{file}: damaged ({error}); delete the folder {file.parent} to forget that run"
        ) from error
    return Run(file.parent, record, resumed=True)


def _write(folder: Path, record: dict[str, Any]) -> None:
    write_atomic(folder / RECORD, json.dumps(record, ensure_ascii=False, indent=1, default=str) + "\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
