"""Matrices in one byte or half a byte a weight; they are never made whole."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ctxeng_kernels.gemv import GROUP, TILE, matmul_int4, matmul_int8


@dataclass(frozen=True)
class Int8:
    """Codes [out, in] with one scale a row [out]."""

    codes: Tensor
    scales: Tensor
    bias: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """The map x [T, in] -> [T, out]; the scales are applied to what comes out."""
        out = matmul_int8(x, self.codes, self.scales)
        return out if self.bias is None else out + self.bias

    @property
    def nbytes(self) -> int:
        """Bytes of codes, scales and bias."""
        return _bytes(self.codes, self.scales, self.bias)


@dataclass(frozen=True)
class Int4:
    """Codes of two weights a byte [out, groups, 64], a scale and a middle for each 128 inputs [out, groups].

    A weight is (code - 7.5) * scale + middle. The first half of a group stands in the low bits; a last group
    that is short is filled with zeros.
    """

    codes: Tensor
    scales: Tensor
    middles: Tensor
    inputs: int
    bias: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """The map x [T, in] -> [T, out]; what all weights of a group share meets the sum of its inputs."""
        out = matmul_int4(x, self.codes, self.scales, self.middles)
        return out if self.bias is None else out + self.bias

    @property
    def nbytes(self) -> int:
        """Bytes of codes, scales, middles and bias."""
        return _bytes(self.codes, self.scales, self.middles, self.bias)


def pack_int8(weight: Tensor, bias: Tensor | None = None) -> Int8:
    """The matrix [out, in] rounded to 255 steps a row."""
    parts = [_eight(tile.float()) for tile in weight.split(_rows(weight.shape[1]))]
    codes, scales = (torch.cat(column) for column in zip(*parts, strict=True))
    return Int8(codes, scales, bias)


def pack_int4(weight: Tensor, bias: Tensor | None = None) -> Int4:
    """The matrix [out, in] rounded to 16 steps over the range of each 128 inputs."""
    parts = [_four(tile.float()) for tile in weight.split(_rows(weight.shape[1]))]
    codes, scales, middles = (torch.cat(column) for column in zip(*parts, strict=True))
    return Int4(codes, scales, middles, weight.shape[1], bias)


def _rows(inputs: int) -> int:
    return max(1, TILE // inputs)


def _eight(rows: Tensor) -> tuple[Tensor, Tensor]:
    scales = (rows.abs().amax(1) / 127).clamp(min=1e-12)
    return (rows / scales.unsqueeze(1)).round().clamp(-127, 127).to(torch.int8), scales


def _four(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    grouped = functional.pad(rows, (0, -rows.shape[1] % GROUP)).unflatten(1, (-1, GROUP))
    low, high = grouped.amin(-1), grouped.amax(-1)
    scales = ((high - low) / 15).clamp(6e-5, 6e4).half()  # within what half precision can say
    middles = ((high + low) / 2).clamp(-6e4, 6e4).half()
    codes = (grouped - middles.float().unsqueeze(-1)) / scales.float().unsqueeze(-1) + 7.5
    lower, upper = codes.round().clamp(0, 15).to(torch.uint8).chunk(2, -1)
    return lower | (upper << 4), scales, middles


def _bytes(*tensors: Tensor | None) -> int:
    return sum(int(tensor.nbytes) for tensor in tensors if tensor is not None)
