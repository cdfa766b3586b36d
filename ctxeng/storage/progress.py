"""A run's progress as JSON lines: what was done survives a kill, a torn last line is done again."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctxeng.errors import BadInput


@dataclass(frozen=True)
class Progress:
    """An append-only list of finished pieces of work, by key."""

    path: Path

    def read(self) -> dict[str, dict[str, Any]]:
        """Finished pieces by key, in order. A torn last line is cut off; damage elsewhere is BadInput."""
        if not self.path.exists():
            return {}
        raw = self.path.read_bytes()
        whole = raw[: raw.rfind(b"\n") + 1]
        if len(whole) < len(raw):
            os.truncate(self.path, len(whole))
        done: dict[str, dict[str, Any]] = {}
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                record = json.loads(line)
                done[record["key"]] = record
            except (ValueError, KeyError, TypeError) as error:
                raise BadInput(
                    f"{self.path}:{number}: damaged ({error}); delete the file to start over"
                ) from error
        return done

    def add(self, key: str, record: dict[str, Any]) -> None:
        """Note a piece of work as finished: one write, whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, json.dumps({"key": key, **record}, ensure_ascii=False).encode() + b"\n")
        finally:
            os.close(handle)
