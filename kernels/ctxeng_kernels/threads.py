"""How many threads the compiled kernels may use: as many as have a core to themselves."""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch

_LOAD = Path("/proc/loadavg")
_FRESH = 1.0  # seconds that a look at the machine holds

_known: tuple[float, int] = (0.0, 1)


def threads() -> int:
    """CTXENG_KERNELS_THREADS where it is set; else torch's number, but no more than cores are idle.

    Beside a busy neighbour a thread that waits for the others costs more than it brings, so cores are counted
    that nothing runs on, once a second. Raises ValueError where the variable is no whole number above 0.
    """
    asked = os.environ.get("CTXENG_KERNELS_THREADS")
    if asked:
        if not asked.isdecimal() or int(asked) < 1:
            raise ValueError(f"CTXENG_KERNELS_THREADS is a whole number from 1 on, not {asked!r}")
        return int(asked)
    most: int = min(torch.get_num_threads(), len(os.sched_getaffinity(0)))
    return most if most == 1 else max(1, min(most, _idle()))


def _idle() -> int:
    """Cores that nothing runs on, this thread's own among them."""
    global _known  # noqa: PLW0603 - one look serves all callers
    now = time.monotonic()
    when, idle = _known
    if now - when < _FRESH:
        return idle
    cores = os.cpu_count() or 1
    try:
        running = int(_LOAD.read_text().split()[3].split("/")[0])
    except (OSError, IndexError, ValueError):
        running = 1
    _known = now, cores - max(0, running - 1)
    return _known[1]
