"""A benchmark's figures, with the machine, the seed and the commit they were taken on."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any


def machine() -> dict[str, Any]:
    """What the figures were taken on; no host name, no path."""
    root = Path(__file__).parents[3]
    commit = subprocess.run(  # noqa: S603 - a fixed command
        ["git", "-C", str(root), "rev-parse", "--short", "HEAD"],  # noqa: S607 - git, wherever it is
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "cpu": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
        "load": round(os.getloadavg()[0], 1),
        "commit": commit.stdout.strip() or "unknown",
        "date": datetime.now(UTC).date().isoformat(),
    }


@dataclass(frozen=True)
class Row:
    """One figure: what, its value and unit, and what it is compared with in the same run."""

    name: str
    value: float
    unit: str
    baseline: float | None = None
    against: str = ""
    target: str = ""

    @property
    def ratio(self) -> float | None:
        """Baseline over value: how many times less we need."""
        return self.baseline / self.value if self.baseline and self.value else None


@dataclass(frozen=True)
class Figures:
    """All figures of one benchmark."""

    bench: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    seed: int = 0
    machine: dict[str, Any] = field(default_factory=machine)

    def as_json(self) -> dict[str, Any]:
        """The figures as plain JSON."""
        return {**asdict(self), "rows": [{**asdict(row), "ratio": row.ratio} for row in self.rows]}

    def as_text(self) -> str:
        """The figures as a table of plain text."""
        lines = [
            f"{self.bench} (seed {self.seed}, commit {self.machine['commit']}, load {self.machine['load']})"
        ]
        for row in self.rows:
            versus = f"  {row.ratio:8.1f}x less than {row.against} ({row.baseline:.4g})" if row.ratio else ""
            target = f"  target {row.target}" if row.target else ""
            lines.append(f"  {row.name:<58} {row.value:>10.4g} {row.unit}{target}{versus}")
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """The median time of one call, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return median(times)
