"""Vectors times a packed matrix; the torch reference makes a tile of the matrix whole at a time.

Compiled, vectors are rounded to 16 bit in groups of 128 numbers: a relative error of some 3e-5. A row of the
result does not depend on the rows beside it, nor on the number of threads.

int8: codes [out, in] with a scale a row [out]. int4: codes [out, groups, 64], two a byte, the first half of
a group's 128 inputs in the low bits; scales and middles [out, groups]; a weight is
(code - 7.5) * scale + middle.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import c_int64, c_void_p

import torch
from torch import Tensor
from torch.nn import functional

from ctxeng_kernels.library import library
from ctxeng_kernels.threads import threads

TILE = 1 << 20  # numbers that are made whole at a time: few enough to stay near the processor
GROUP = 128  # weights that share an int4 scale

Fill = Callable[[int, Tensor], object]


def matmul_int8(x: Tensor, codes: Tensor, scales: Tensor) -> Tensor:
    """X [T, in] times the transpose of an int8 matrix -> [T, out], in the type of x.

    Raises ValueError, with both shapes, where they do not fit.
    """
    out, inputs = codes.shape
    if x.dim() != 2 or x.shape[1] != inputs or scales.shape != (out,):  # noqa: PLR2004 - rows, inputs
        raise ValueError(
            f"x {tuple(x.shape)} and scales {tuple(scales.shape)} do not fit codes {(out, inputs)}"
        )
    kernels = library() if inputs % 16 == 0 and x.is_cpu and codes.is_contiguous() else None
    if kernels is None:
        return by_tiles(
            x, out, lambda start, space: space.copy_(codes[start : start + len(space)])
        ) * scales.to(x.dtype)
    given, factors = x.float().contiguous(), scales.float().contiguous()
    y = given.new_empty(len(x), out)
    sizes = map(c_int64, (len(x), out, inputs, threads()))
    kernels.ctxeng_gemv_int8(*_at(codes, factors, given), *sizes, *_at(y))
    return y.to(x.dtype)


def matmul_int4(x: Tensor, codes: Tensor, scales: Tensor, middles: Tensor) -> Tensor:
    """X [T, in] times the transpose of an int4 matrix -> [T, out], in the type of x; groups may be short.

    Raises ValueError, with both shapes, where they do not fit.
    """
    out, groups, _ = codes.shape
    if x.dim() != 2 or -(-x.shape[1] // GROUP) != groups or scales.shape != (out, groups):  # noqa: PLR2004
        raise ValueError(
            f"x {tuple(x.shape)} and scales {tuple(scales.shape)} do not fit codes {tuple(codes.shape)}"
        )
    padded = functional.pad(x, (0, -x.shape[1] % GROUP))
    fits = x.is_cpu and all(a.is_contiguous() for a in (codes, scales, middles))
    kernels = library() if fits else None
    if kernels is None:
        return _plain_int4(padded, codes, scales, middles)
    given = padded.float().contiguous()
    y = given.new_empty(len(x), out)
    sizes = map(c_int64, (len(x), out, groups, threads()))
    kernels.ctxeng_gemv_int4(*_at(codes, scales, middles, given), *sizes, *_at(y))
    return y.to(x.dtype)


def _plain_int4(x: Tensor, codes: Tensor, scales: Tensor, middles: Tensor) -> Tensor:
    """What all weights of a group share meets the sum of its inputs."""

    def fill(start: int, space: Tensor) -> None:
        """(code - 8) * scale: around nought, so that half precision loses nothing when the rest is added."""
        rows = slice(start, start + len(space))
        grouped = space.unflatten(1, (-1, GROUP))
        grouped[..., : GROUP // 2] = ((codes[rows] & 15) - 8).view(torch.int8)  # bytes wrap below nought
        grouped[..., GROUP // 2 :] = ((codes[rows] >> 4) - 8).view(torch.int8)
        grouped *= scales[rows].to(space.dtype).unsqueeze(-1)

    shared = middles.to(x.dtype) + 0.5 * scales.to(x.dtype)
    return by_tiles(x, len(codes), fill) + x.unflatten(1, (-1, GROUP)).sum(-1) @ shared.T


def by_tiles(x: Tensor, outputs: int, fill: Fill) -> Tensor:
    """X [T, in] times the transpose of a matrix [out, in]; `fill` writes its rows from `start` on."""
    step = min(max(1, TILE // x.shape[1]), outputs)
    out, space = x.new_empty(len(x), outputs), x.new_empty(step, x.shape[1])
    for start in range(0, outputs, step):
        tile = space[: outputs - start]
        fill(start, tile)
        out[:, start : start + step] = functional.linear(x, tile)
    return out


def _at(*tensors: Tensor) -> tuple[c_void_p, ...]:
    return tuple(c_void_p(tensor.data_ptr()) for tensor in tensors)
