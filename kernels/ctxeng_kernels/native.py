"""Decode attention over encoded blocks by the compiled kernels; everything else is the reference's."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from ctxeng_kernels.library import library
from ctxeng_kernels.pack import BLOCK
from ctxeng_kernels.segment import Segment, Span, Table

_BITS = {"int8": 8, "int4": 4}
_STEP = {"int8": 16, "int4": 32}  # channels the inner loops take at a time
_WIDEST = 256


def attend_encoded(q: Tensor, segment: Segment, scale: float) -> tuple[Tensor, Tensor] | None:
    """Q [Hkv, R, k_dim], turned to the segment -> o [Hkv, R, v_dim] and lse [Hkv, R]; None: not for us.

    All rows see all live keys. A row's result does not depend on the rows beside it. Against attention over
    the decoded blocks the relative error is some 1e-4: queries and probabilities are rounded to 16 bits.
    """
    if segment.codec not in _BITS or q.dtype != torch.float32 or not q.is_cpu:
        return None
    v_dim = segment.arrays[2 if segment.codec == "int8" else 3].shape[-1]
    v_dim *= 1 if segment.codec == "int8" else 2
    step = _STEP[segment.codec]
    if q.shape[2] % step or v_dim % step or max(q.shape[2], v_dim) > _WIDEST:
        return None
    where = _table(segment, len(q))
    kernels = library() if where is not None else None
    if kernels is None or where is None:
        return None
    q, ids, fill = q.contiguous(), where.ids.contiguous(), where.fill.contiguous()
    o, lse = q.new_empty(*q.shape[:2], v_dim), q.new_empty(q.shape[:2])
    arrays = (ctypes.c_void_p * len(segment.arrays))(*(array.data_ptr() for array in segment.arrays))
    kernels.ctxeng_attend(
        _BITS[segment.codec],
        arrays,
        ids.data_ptr(),
        fill.data_ptr(),
        q.data_ptr(),
        *q.shape[:2],
        ids.shape[1],
        q.shape[2],
        v_dim,
        scale,
        o.data_ptr(),
        lse.data_ptr(),
    )
    return o, lse


def _table(segment: Segment, heads: int) -> Table | None:
    """Blocks and their live rows, one by one."""
    where = segment.where
    if isinstance(where, Table):
        return where
    if not isinstance(where, Span):
        return None
    blocks = torch.arange(-(-where.length // BLOCK))
    ids = where.first + torch.arange(heads).unsqueeze(1) * where.stride + blocks
    return Table(ids, (where.length - blocks * BLOCK).clamp(max=BLOCK).expand(heads, -1))
