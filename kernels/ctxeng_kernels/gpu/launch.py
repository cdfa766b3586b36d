"""Segments as the Triton kernels take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ctxeng_kernels.pack import BLOCK
from ctxeng_kernels.segment import Segment, Span, Table

ROWS = 16  # query rows of a tile: what a matrix unit takes at least
WIDEST = 256
_CODECS = {"int8": 1, "int4": 2}


@dataclass(frozen=True)
class Blocks:
    """Arrays in the kernels' order, then ids and fill [Hkv, count]; `sizes` are compiled in."""

    arrays: tuple[Tensor, ...]
    count: int
    dv: int
    sizes: dict[str, Any]

    @classmethod
    def of(cls, q: Tensor, segment: Segment) -> Blocks:
        """Raises ValueError, with the shapes, where queries [Hkv, R, k_dim] and segment do not fit."""
        codec, arrays = segment.codec, segment.arrays
        if segment.layout != "rows" or codec == "dense":
            raise ValueError(
                "on a GPU int8 and int4 blocks lie by rows; of dense ones torch's own call is best"
            )
        half = 2 if codec == "int4" else 1
        dk, dv = half * arrays[0].shape[-1], half * arrays[len(arrays) // 2].shape[-1]
        if q.dim() != 3 or q.shape[2] != dk or max(dk, dv) > WIDEST:  # heads, rows, channels
            raise ValueError(f"queries {tuple(q.shape)} do not fit keys of {dk} and values of {dv} channels")
        ids, fill = _table(segment, len(q), q.device)
        sizes = {"CODEC": _CODECS[codec], "DK": dk, "DV": dv, "D": _above(dk), "E": _above(dv)}
        return cls((*_seven(arrays), ids, fill), ids.shape[1], dv, sizes)


def sights(q: Tensor, blocks: int, sight: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
    """First and end of the rows that each query row sees [Hkv, R]."""
    shape = q.shape[:2]
    if sight is None:
        every = torch.zeros(shape, dtype=torch.long, device=q.device)
        return every, every + blocks * BLOCK
    first, end = (x.to(q.device, torch.long).expand(shape).contiguous() for x in sight)
    return first, end


def _seven(arrays: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Keys, scales, middles; values, scales, middles. What a codec lacks is never looked at."""
    k, v = arrays[: len(arrays) // 2], arrays[len(arrays) // 2 :]
    return (*k, *[k[0]] * (3 - len(k)), *v, *[v[0]] * (3 - len(v)))


def _above(d: int) -> int:
    return max(16, 1 << (d - 1).bit_length())


def _table(segment: Segment, heads: int, device: torch.device) -> tuple[Tensor, Tensor]:
    where = segment.where
    if isinstance(where, Table):
        return where.ids.to(device).contiguous(), where.fill.to(device).contiguous()
    if not isinstance(where, Span):
        raise ValueError("single rows are not for the GPU's kernels: name blocks")  # noqa: TRY004 - a bad shape
    blocks = torch.arange(-(-where.length // BLOCK), device=device)
    ids = where.first + torch.arange(heads, device=device).unsqueeze(1) * where.stride + blocks
    fill = (where.length - blocks * BLOCK).clamp(max=BLOCK).expand(heads, -1)
    return ids, fill.contiguous()
