"""Matrices in one byte or half a byte a weight; a tile of rows is made whole at a time, never all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

TILE = 1 << 20  # numbers that are made whole at a time: few enough to stay near the processor
GROUP = 128  # weights that share an int4 scale

Fill = Callable[[int, Tensor], object]


@dataclass(frozen=True)
class Int8:
    """Codes [out, in] with one scale a row [out]."""

    codes: Tensor
    scales: Tensor
    bias: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """The map x [T, in] -> [T, out]; the scales are applied to what comes out."""
        out = _by_tiles(x, len(self.codes), self._fill) * self.scales.to(x.dtype)
        return out if self.bias is None else out + self.bias

    def _fill(self, start: int, space: Tensor) -> None:
        space.copy_(self.codes[start : start + len(space)])

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
        padded = functional.pad(x, (0, -self.inputs % GROUP))
        shared = self.middles.to(x.dtype) + 0.5 * self.scales.to(x.dtype)
        out = _by_tiles(padded, len(self.codes), self._fill)
        out += padded.unflatten(1, (-1, GROUP)).sum(-1) @ shared.T
        return out if self.bias is None else out + self.bias

    def _fill(self, start: int, space: Tensor) -> None:
        """(code - 8) * scale: around nought, so that half precision loses nothing when `shared` is added."""
        rows = slice(start, start + len(space))
        codes, grouped = self.codes[rows], space.unflatten(1, (-1, GROUP))
        grouped[..., : GROUP // 2] = ((codes & 15) - 8).view(torch.int8)  # bytes wrap below nought
        grouped[..., GROUP // 2 :] = ((codes >> 4) - 8).view(torch.int8)
        grouped *= self.scales[rows].to(space.dtype).unsqueeze(-1)

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


def _by_tiles(x: Tensor, outputs: int, fill: Fill) -> Tensor:
    """X [T, in] times the transpose of a matrix [out, in]; `fill` writes its rows from `start` on."""
    step = min(_rows(x.shape[1]), outputs)
    out, space = x.new_empty(len(x), outputs), x.new_empty(step, x.shape[1])
    for start in range(0, outputs, step):
        tile = space[: outputs - start]
        fill(start, tile)
        out[:, start : start + step] = functional.linear(x, tile)
    return out


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
