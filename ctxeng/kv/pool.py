"""Blocks of 64 tokens of one KV head: fixed pools, counted references, one cap in bytes for all of them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctxeng.errors import BadInput, CacheFull
from ctxeng_kernels.layout import best_layout, by_rows, laid_out
from ctxeng_kernels.memory import in_large_pages
from ctxeng_kernels.pack import Codec, block_bytes, fields
from ctxeng_kernels.segment import Segment, Span, Table

Ids = NDArray[np.int64]


@dataclass
class Budget:
    """Bytes that all pools of an engine may hold together. Thread-safe."""

    cap: int
    used: int = 0
    peak: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def take(self, nbytes: int) -> None:
        """Count so many bytes as held. Raises CacheFull, and then counts nothing."""
        with self._lock:
            if self.used + nbytes > self.cap:
                raise CacheFull(nbytes, self.cap - self.used, self.cap)
            self.used += nbytes
            self.peak = max(self.peak, self.used)

    def give(self, nbytes: int) -> None:
        """Count them as free again."""
        with self._lock:
            self.used -= nbytes


class Pool:
    """Blocks of one codec and one width. Memory is asked for whole, and touched where blocks are used.

    `k_dim` and `v_dim` are channels of a key and a value; `dtype` that of dense blocks. Raises BadInput for a
    cap beyond the machine's memory.
    """

    def __init__(self, codec: Codec, k_dim: int, v_dim: int, dtype: torch.dtype, budget: Budget) -> None:
        self.codec, self.k_dim, self.budget = codec, k_dim, budget
        self.layout = best_layout(codec, k_dim, v_dim)
        self.block_bytes = block_bytes(codec, k_dim, v_dim, dtype)
        self.size = max(1, budget.cap // self.block_bytes)
        try:
            self.arrays: tuple[Tensor, ...] = tuple(
                in_large_pages(torch.empty(self.size, *f.shape, dtype=f.dtype))
                for f in fields(codec, k_dim, v_dim, dtype)
            )
        except RuntimeError:
            raise BadInput(
                f"this machine cannot set aside a key-value cache of {budget.cap:,} bytes: name a smaller cap"
            ) from None
        self._references = np.zeros(self.size, np.int32)
        self._runs: list[tuple[int, int]] = [(0, self.size)]  # free: start, end; sorted, apart
        self._lock = threading.Lock()

    @property
    def in_use(self) -> int:
        """Blocks that somebody holds."""
        return int((self._references > 0).sum())

    def take(self, count: int) -> Ids:
        """So many blocks, behind one another where the room is, else from the lowest free ones.

        Raises CacheFull before anything is taken.
        """
        self.budget.take(count * self.block_bytes)
        with self._lock:
            free = sum(end - start for start, end in self._runs)
            if free < count:  # the pool's own size: rounding may leave it below the cap
                self.budget.give(count * self.block_bytes)
                raise CacheFull(
                    count * self.block_bytes, free * self.block_bytes, self.size * self.block_bytes
                )
            ids = self._cut(count)
            self._references[ids] = 1
        return ids

    def write(self, ids: Ids, codes: tuple[Tensor, ...]) -> None:
        """Put blocks [n, ...], as `encode` gives them, to their places."""
        where = torch.from_numpy(np.ascontiguousarray(ids))
        for array, code in zip(self.arrays, laid_out(self.codec, codes, self.layout), strict=True):
            array[where] = code

    def read(self, ids: Ids) -> tuple[Tensor, ...]:
        """Copies of these blocks, as `encode` gave them."""
        where = torch.from_numpy(np.ascontiguousarray(ids))
        return by_rows(self.codec, tuple(array[where] for array in self.arrays), self.layout)

    def segment(
        self, where: Span | Table, *, positions: int | Tensor = 0, channels: Tensor | None = None
    ) -> Segment:
        """Rows of this pool as attention meets them."""
        return Segment(
            self.codec, self.arrays, where, positions=positions, channels=channels, layout=self.layout
        )

    def share(self, ids: Ids | Sequence[int]) -> None:
        """One more holder of these blocks."""
        with self._lock:
            np.add.at(self._references, ids, 1)

    def give(self, ids: Ids | Sequence[int]) -> None:
        """One holder less; blocks that nobody holds are free again."""
        with self._lock:
            np.subtract.at(self._references, ids, 1)
            held = np.unique(np.asarray(ids, np.int64))
            counts = self._references[held]
            assert (counts >= 0).all(), "a block was given back more often than taken"
            freed = held[counts == 0]
            self._join(freed)
        self.budget.give(len(freed) * self.block_bytes)

    def _cut(self, count: int) -> Ids:
        for index, (start, end) in enumerate(self._runs):
            if end - start >= count:
                rest = [(start + count, end)] if end - start > count else []
                self._runs[index : index + 1] = rest
                return np.arange(start, start + count)
        found: list[Ids] = []
        while count:
            start, end = self._runs.pop(0)
            taken = min(count, end - start)
            found.append(np.arange(start, start + taken))
            if taken < end - start:
                self._runs.insert(0, (start + taken, end))
            count -= taken
        return np.concatenate(found)

    def _join(self, freed: Ids) -> None:
        if not len(freed):
            return
        cuts = np.flatnonzero(np.diff(freed) != 1) + 1
        runs = [(int(run[0]), int(run[-1]) + 1) for run in np.split(freed, cuts)]
        merged: list[tuple[int, int]] = []
        for start, end in sorted(self._runs + runs):
            if merged and merged[-1][1] == start:
                merged[-1] = (merged[-1][0], end)
            else:
                merged.append((start, end))
        self._runs = merged
