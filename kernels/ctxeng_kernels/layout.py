"""How codes lie in a block: row by row, as they are encoded and written to disk, or in fours, for AVX2.

In fours, the four codes that a product sums up first stand side by side: of a key four channels of one token
[k/4, 64, 4], of values four tokens of one channel [16, v, 4]. Shapes, types and bytes stay the same.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ctxeng_kernels.library import library
from ctxeng_kernels.pack import BLOCK, Codec

Layout = Literal["rows", "fours"]

_STEP = 16  # channels: what the compiled kernels take is a multiple of them
_WIDEST = 256


def best_layout(codec: Codec, k_dim: int, v_dim: int) -> Layout:
    """In fours where the compiled kernels are here and take these widths, else row by row."""
    fits = k_dim % _STEP == v_dim % _STEP == 0 and max(k_dim, v_dim) <= _WIDEST
    return "fours" if codec != "dense" and fits and library() is not None else "rows"


def laid_out(codec: Codec, arrays: tuple[Tensor, ...], layout: Layout) -> tuple[Tensor, ...]:
    """Arrays of `encode`, block first, with their codes in that layout. Raises ValueError for odd widths."""
    if codec == "dense" or layout == "rows" or not arrays[0].numel():
        return arrays
    value = len(arrays) // 2
    k, v = arrays[0], arrays[value]
    _check(k, v)
    keys = k.contiguous().view(torch.int32).transpose(-1, -2).contiguous().view(k.dtype)
    values = v.unflatten(-2, (BLOCK // 4, 4)).transpose(-1, -2).reshape(v.shape)
    return keys.view(k.shape), *arrays[1:value], values, *arrays[value + 1 :]


def by_rows(codec: Codec, arrays: tuple[Tensor, ...], layout: Layout) -> tuple[Tensor, ...]:
    """The way back: what `laid_out` was given."""
    if codec == "dense" or layout == "rows" or not arrays[0].numel():
        return arrays
    value = len(arrays) // 2
    k, v = arrays[0], arrays[value]
    _check(k, v)
    shape = *k.shape[:-2], k.shape[-1] // 4, 4 * BLOCK
    keys = k.reshape(shape).view(torch.int32).transpose(-1, -2).contiguous().view(k.dtype)
    values = v.reshape(*v.shape[:-2], BLOCK // 4, v.shape[-1], 4).transpose(-1, -2).reshape(v.shape)
    return keys.view(k.shape), *arrays[1:value], values, *arrays[value + 1 :]


def _check(k: Tensor, v: Tensor) -> None:
    if k.shape[-2] != BLOCK or v.shape[-2] != BLOCK or k.shape[-1] % 4:
        raise ValueError(
            f"codes {tuple(k.shape)} and {tuple(v.shape)} cannot lie in fours: blocks have {BLOCK} rows, and"
            " keys a multiple of 4 bytes each"
        )
