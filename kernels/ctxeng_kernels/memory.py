"""Memory in large pages: a kernel that streams through a cache then misses the table of pages less often."""

from __future__ import annotations

import ctypes
import mmap
from functools import cache
from typing import Any

from torch import Tensor

_LEAST = 8 << 20  # bytes below which it brings nothing
_HUGE = getattr(mmap, "MADV_HUGEPAGE", None)


def in_large_pages(tensor: Tensor) -> Tensor:
    """The tensor itself; the system is asked to keep it in large pages, which it may refuse.

    To be called before anything is written there.
    """
    if _HUGE is None or tensor.nbytes < _LEAST or not tensor.is_cpu:
        return tensor
    page, start = mmap.PAGESIZE, tensor.data_ptr()
    first = -(-start // page) * page
    last = (start + tensor.nbytes) // page * page
    _libc().madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), _HUGE)
    return tensor


@cache
def _libc() -> Any:
    return ctypes.CDLL(None)
