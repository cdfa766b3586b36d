"""The figures of a run, as a table for people and as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ctxeng_kernels.bench.timing import Timed
from ctxeng_kernels.library import backend
from ctxeng_kernels.threads import threads


def machine() -> dict[str, Any]:
    """Where it ran: figures of two machines are not to be compared."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    return {
        "processor": name,
        "cores": os.cpu_count(),
        "threads": threads(),
        "load": round(os.getloadavg()[0], 2),
        "torch": torch.__version__,
        "kernels": backend(),
    }


def rows(timed: Sequence[Timed], roof: Timed | None) -> list[dict[str, Any]]:
    """One op's cases: milliseconds, GB/s, share of the roof, and how often as fast as torch's best call."""
    best = min((t.median for t in timed if t.case.torch), default=None)
    least = min((t.least for t in timed if t.case.torch), default=None)
    top = None if roof is None else roof.case.nbytes / roof.median
    return [
        {
            "op": t.case.op,
            "backend": t.case.backend,
            "median_ms": round(t.median * 1e3, 4),
            "least_ms": round(t.least * 1e3, 4),
            "gb_per_s": round(t.case.nbytes / t.median / 1e9, 2),
            "share_of_roof": None if top is None else round(t.case.nbytes / t.median / top, 3),
            "times_torch": None if best is None else round(best / t.median, 2),
            "times_torch_by_least": None if least is None else round(least / t.least, 2),
        }
        for t in timed
    ]


def table(found: Sequence[dict[str, Any]]) -> str:
    """The rows under one heading."""
    lines = [f"{'op':16} {'backend':46} {'ms':>9} {'least':>9} {'GB/s':>7} {'roof':>6} {'x torch':>8}"]
    for row in found:
        share = "" if row["share_of_roof"] is None else f"{row['share_of_roof']:.0%}"
        times = "" if row["times_torch"] is None else f"{row['times_torch']:.2f}"
        lines.append(
            f"{row['op']:16} {row['backend']:46} {row['median_ms']:9.3f} {row['least_ms']:9.3f}"
            f" {row['gb_per_s']:7.1f} {share:>6} {times:>8}"
        )
    return "\n".join(lines)
