"""A run's results as JSON lines in the order of its slots; what survives a kill is gone on with."""

from __future__ import annotations

import json
import math
import os
import re
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Self

from ctxeng.errors import BadInput

_SLOT = re.compile(rb'\{"slot": ?(\d+),')
_FLUSH = 0.5  # seconds of finished work that a kill may cost


@dataclass(frozen=True)
class Seconds:
    """Times by slot, in eight bytes each."""

    _times: array[float] = field(default_factory=lambda: array("d"))

    def note(self, slot: int, seconds: float) -> None:
        """Take a time down."""
        while len(self._times) <= slot:
            self._times.append(math.nan)
        self._times[slot] = seconds

    def get(self, slot: int, default: float | None = None) -> float | None:
        """The slot's time; the default where none was measured."""
        seconds = self._times[slot] if slot < len(self._times) else math.nan
        return default if math.isnan(seconds) else seconds


@dataclass
class ResultLog:
    """`results.jsonl`: what a run found, the same however it was run. Times go to `timings.jsonl` beside it.

    A slot that was run again has a later line, which counts. Use it as a context manager.
    """

    folder: Path
    _results: BinaryIO | None = field(default=None, init=False, repr=False)
    _timings: BinaryIO | None = field(default=None, init=False, repr=False)
    _flushed: float = field(default=0.0, init=False, repr=False)

    @property
    def path(self) -> Path:
        """The results' file."""
        return self.folder / "results.jsonl"

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._results = self.path.open("ab")
        self._timings = (self.folder / "timings.jsonl").open("ab")
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self._timings, self._results):
            if file is not None:
                file.close()
        self._results = self._timings = None

    def add(self, records: Sequence[dict[str, Any]]) -> None:
        """Write these, in order."""
        if self._results is None or self._timings is None:
            raise ValueError("a result log is written inside `with`")
        for record in records:
            seconds = record.pop("seconds", None)
            self._results.write(json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
            if seconds is not None:
                self._timings.write(b'{"slot": %d, "seconds": %.6f}\n' % (record["slot"], seconds))
        now = time.monotonic()
        if now - self._flushed > _FLUSH:
            self._timings.flush()
            self._results.flush()
            self._flushed = now

    def done(self) -> int:
        """How many slots are finished; a torn last line is cut off. Raises BadInput for a damaged one."""
        for name in ("results.jsonl", "timings.jsonl"):
            _mend(self.folder / name)
        last = -1
        for number, line in enumerate(self._lines("results.jsonl"), 1):
            found = _SLOT.match(line)
            if found is None:
                raise BadInput(f"{self.path}:{number}: no result; delete the run's folder to start over")
            last = max(last, int(found[1]))
        return last + 1

    def records(self) -> Iterator[dict[str, Any]]:
        """Every slot's last record, in the order of the slots."""
        again: dict[int, bytes] = {}
        expected = 0
        for line in self._lines("results.jsonl"):
            slot = _slot(line)
            if slot < expected:
                again[slot] = line  # few: slots that failed and were run again
            else:
                expected = slot + 1
        expected = 0
        for line in self._lines("results.jsonl"):
            slot = _slot(line)
            if slot >= expected:
                expected = slot + 1
                yield json.loads(again.get(slot, line))

    def seconds(self) -> Seconds:
        """How long each slot took, as last measured."""
        found = Seconds()
        for line in self._lines("timings.jsonl"):
            each = json.loads(line)
            found.note(each["slot"], each["seconds"])
        return found

    def _lines(self, name: str) -> Iterator[bytes]:
        path = self.folder / name
        if path.exists():
            with path.open("rb") as file:
                yield from file


def _slot(line: bytes) -> int:
    found = _SLOT.match(line)
    return int(found[1]) if found else -1


def _mend(path: Path) -> None:
    """Cut off what stands behind the last line break; a kill left it."""
    if not path.exists():
        return
    size = path.stat().st_size
    with path.open("rb") as file:
        place = size
        while place > 0:
            start = max(0, place - 65_536)
            file.seek(start)
            found = file.read(place - start).rfind(b"\n")
            if found >= 0:
                place = start + found + 1
                break
            place = start
    if place < size:
        os.truncate(path, place)
