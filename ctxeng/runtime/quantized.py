"""Matrices in one byte or half a byte a weight; a tile of rows is made whole at a time, never all of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

TILE = 1024  # rows that are made whole at a time
GROUP = 128  # weights that share an int4 scale


@dataclass(frozen=True)
class Int8:
    """Codes [out, in] with one scale a row [out]."""

    codes: Tensor
    scales: Tensor
    bias: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """The map x [T, in] -> [T, out]; the scales are applied to what comes out."""
        parts = [functional.linear(x, codes.to(x.dtype)) for codes in self.codes.split(TILE)]
        out = torch.cat(parts, -1) * self.scales.to(x.dtype)
        return out if self.bias is None else out + self.bias

    @property
    def nbytes(self) -> int:
        """Bytes of codes, scales and bias."""
        return _bytes(self.codes, self.scales, self.bias)


@dataclass(frozen=True)
class Int4:
    """Codes of two weights a byte [out, groups, 64], a scale and a middle for each 128 inputs [out, groups].

    The first half of a group stands in the low bits; a last group that is short is filled with zeros.
    """

    codes: Tensor
    scales: Tensor
    middles: Tensor
    inputs: int
    bias: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """The map x [T, in] -> [T, out]."""
        tiles = zip(self.codes.split(TILE), self.scales.split(TILE), self.middles.split(TILE), strict=True)
        out = torch.cat([functional.linear(x, self._whole(c, s, m, x.dtype)) for c, s, m in tiles], -1)
        return out if self.bias is None else out + self.bias

    def _whole(self, codes: Tensor, scales: Tensor, middles: Tensor, dtype: torch.dtype) -> Tensor:
        numbers = torch.cat((codes & 15, codes >> 4), -1).to(dtype) - 7.5
        grouped = numbers * scales.to(dtype).unsqueeze(-1) + middles.to(dtype).unsqueeze(-1)
        return grouped.flatten(1)[:, : self.inputs]

    @property
    def nbytes(self) -> int:
        """Bytes of codes, scales, middles and bias."""
        return _bytes(self.codes, self.scales, self.middles, self.bias)


def pack_int8(weight: Tensor, bias: Tensor | None = None) -> Int8:
    """The matrix [out, in] rounded to 255 steps a row."""
    scales = (weight.float().abs().amax(1) / 127).clamp(min=1e-12)
    codes = (weight.float() / scales.unsqueeze(1)).round().clamp(-127, 127).to(torch.int8)
    return Int8(codes, scales, bias)


def pack_int4(weight: Tensor, bias: Tensor | None = None) -> Int4:
    """The matrix [out, in] rounded to 16 steps over the range of each 128 inputs."""
    inputs = weight.shape[1]
    wide = functional.pad(weight.float(), (0, -inputs % GROUP)).unflatten(1, (-1, GROUP))
    low, high = wide.amin(-1), wide.amax(-1)
    scales, middles = ((high - low) / 15).clamp(min=6e-5).half(), ((high + low) / 2).half()
    codes = (wide - middles.float().unsqueeze(-1)) / scales.float().unsqueeze(-1) + 7.5
    lower, upper = codes.round().clamp(0, 15).to(torch.uint8).chunk(2, -1)
    return Int4(lower | (upper << 4), scales, middles, inputs, bias)


def _bytes(*tensors: Tensor | None) -> int:
    return sum(int(tensor.nbytes) for tensor in tensors if tensor is not None)
