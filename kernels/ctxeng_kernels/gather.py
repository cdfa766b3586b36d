"""Single rows of a segment, taken out: what a policy keeps, whatever blocks it lies in."""

from __future__ import annotations

import torch
from torch import Tensor

from ctxeng_kernels import native
from ctxeng_kernels.segment import Segment


def gather(segment: Segment, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows [Hkv, n], counted over each head's blocks -> keys [Hkv, n, k_dim] and values [Hkv, n, v_dim].

    A row below nought, or behind the last block, is nought: lists of unequal length are filled up so.
    Encoded segments give single precision, the same bits compiled or not.
    """
    found = native.gather(segment, rows)
    if found is not None:
        return found
    k, v, _ = segment.rows(len(rows), torch.float32)
    there = (rows >= 0) & (rows < k.shape[1])
    if not k.shape[1]:
        return k.new_zeros(*rows.shape, k.shape[2]), v.new_zeros(*rows.shape, v.shape[2])
    where = rows.clamp(0, k.shape[1] - 1)
    keys, values = (
        x.gather(1, where.unsqueeze(-1).expand(-1, -1, x.shape[2])) * there.unsqueeze(-1) for x in (k, v)
    )
    return keys, values
