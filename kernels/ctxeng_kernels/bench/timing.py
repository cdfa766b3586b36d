"""Calls timed in turns: every backend meets the same moments of a shared machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Call = Callable[[int], object]


@dataclass(frozen=True)
class Case:
    """A backend of an op. `call(n)` runs on the n-th copy of the data; `nbytes` are read by one call.

    `torch` marks the calls of torch that the others are held against.
    """

    op: str
    backend: str
    call: Call
    nbytes: float
    torch: bool = False


@dataclass(frozen=True)
class Timed:
    """What came out, in seconds."""

    case: Case
    median: float
    least: float


def in_turns(cases: Sequence[Case], rounds: int, progress: Callable[[str], None]) -> list[Timed]:
    """Every case once a round, each round with other data; the first round is not counted."""
    taken: list[list[float]] = [[] for _ in cases]
    for number in range(rounds + 1):
        for case, times in zip(cases, taken, strict=True):
            start = time.perf_counter()
            case.call(number)
            times.append(time.perf_counter() - start)
        progress(f"{cases[0].op}: round {number} of {rounds}")
    counted = [times[1:] for times in taken]
    return [Timed(c, statistics.median(t), min(t)) for c, t in zip(cases, counted, strict=True)]
