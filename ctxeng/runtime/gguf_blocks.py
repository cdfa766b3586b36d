"""Numbers out of GGUF blocks: each type as the GGML format lays it out, decoded with numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Numbers = NDArray[Any]


def plain(dtype: type[np.generic]) -> Callable[[Bytes], Numbers]:
    """Numbers that stand there as they are; a view, nothing is copied."""
    return lambda raw: raw.view(dtype)


def bf16(raw: Bytes) -> Numbers:
    """The upper half of an fp32 each."""
    return (raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def q8_0(raw: Bytes) -> Numbers:
    """Blocks of 32: an fp16 scale, then 32 signed bytes."""
    blocks = raw.reshape(-1, 34)
    numbers = blocks[:, 2:].view(np.int8).astype(np.float32)
    numbers *= _halves(blocks[:, :2])
    return numbers.ravel()


def q4_0(raw: Bytes) -> Numbers:
    """Blocks of 32: an fp16 scale, then 16 bytes; low halves are the first 16 weights; 8 is nought."""
    blocks = raw.reshape(-1, 18)
    codes = blocks[:, 2:]
    numbers = np.empty((len(blocks), 32), np.float32)
    numbers[:, :16] = codes & 15
    numbers[:, 16:] = codes >> 4
    numbers -= 8
    numbers *= _halves(blocks[:, :2])
    return numbers.ravel()


def q6_k(raw: Bytes) -> Numbers:
    """Blocks of 256: the low four bits, the high two, a signed scale for each 16, then an fp16 scale of all.

    Each half of a block is four runs of 32 weights. Low bits: 64 bytes, whose low halves are the first two
    runs; high bits: 32 bytes, two bits a run, the first run lowest. 32 stands for nought.
    """
    blocks = raw.reshape(-1, 210)
    low = blocks[:, :128].reshape(-1, 2, 1, 2, 32) >> np.array([0, 4], np.uint8).reshape(2, 1, 1)
    high = blocks[:, 128:192].reshape(-1, 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8).reshape(4, 1)
    codes = (low.reshape(-1, 2, 4, 32) & 15) | ((high & 3) << 4)
    numbers = codes.reshape(-1, 16, 16).astype(np.float32)
    numbers -= 32
    numbers *= (blocks[:, 192:208].view(np.int8) * _halves(blocks[:, 208:]))[:, :, None]
    return numbers.ravel()


def _halves(raw: Bytes) -> Numbers:
    return np.ascontiguousarray(raw).view(np.float16).astype(np.float32)


DECODERS: dict[str, Callable[[Bytes], Numbers]] = {
    "F32": plain(np.float32),
    "F16": plain(np.float16),
    "BF16": bf16,
    "Q8_0": q8_0,
    "Q4_0": q4_0,
    "Q6_K": q6_k,
}
