"""The compiled kernels as they are called: segments and queries in their C form."""

from __future__ import annotations

import ctypes
from ctypes import Structure, c_float, c_int64, c_void_p
from typing import Any

import torch
from torch import Tensor

from ctxeng_kernels.library import library
from ctxeng_kernels.pack import BLOCK
from ctxeng_kernels.segment import Segment, Span, Table
from ctxeng_kernels.threads import threads

_DENSE = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}
_ENCODED = {"int8": 3, "int4": 4}
_FAST = 5
_WIDEST = 256
_FEW = 64  # query rows of a KV head up to which torch's matrix products are not faster over dense blocks
SHORT = 512  # dense rows below which torch's call is the shorter way


class _Blocks(Structure):
    _fields_ = [
        ("codec", c_int64),
        ("arrays", c_void_p * 6),
        ("ids", c_void_p),
        ("fill", c_void_p),
        *[
            (name, c_int64)
            for name in ("first", "stride", "length", "kv_heads", "blocks", "dk", "dv", "held")
        ],
    ]


class _Queries(Structure):
    _fields_ = [
        ("q", c_void_p),
        ("rows", c_int64),
        ("start", c_void_p),
        ("end", c_void_p),
        ("scale", c_float),
    ]


class Call:
    """One segment and the queries that meet it, in C's form; what it points to is kept until it is gone."""

    def __init__(
        self, q: Tensor, segment: Segment, scale: float, sight: tuple[Tensor, Tensor] | None
    ) -> None:
        codec, v_dim = _codec(segment), _v_dim(segment)
        kv_heads, rows, k_dim = q.shape
        self.v_dim, self.kept = v_dim, [q.float().contiguous(), *segment.arrays]
        arrays = (c_void_p * 6)(*(array.data_ptr() for array in segment.arrays))
        where = segment.where
        if isinstance(where, Span):
            count = -(-where.length // BLOCK)
            place = (None, None, where.first, where.stride, where.length, kv_heads, count)
        else:
            assert isinstance(where, Table)
            ids, fill = where.ids.contiguous(), where.fill.contiguous()
            self.kept += [ids, fill]
            place = (ids.data_ptr(), fill.data_ptr(), 0, 0, 0, kv_heads, ids.shape[1])
        limits = (None, None)
        if sight is not None:
            both = [x.to(torch.int64).expand(kv_heads, rows).contiguous() for x in sight]
            self.kept += both
            limits = (both[0].data_ptr(), both[1].data_ptr())
        self.blocks = _Blocks(codec, arrays, *place, k_dim, v_dim, len(segment.arrays[0]))
        self.queries = _Queries(self.kept[0].data_ptr(), rows, *limits, scale)


def fits(q: Tensor, segment: Segment) -> bool:
    """Whether these queries [Hkv, R, k_dim] and this segment are for the compiled kernels."""
    if q.dtype not in _DENSE or not q.is_cpu:
        return False
    if not isinstance(segment.where, Span | Table) or not all(a.is_contiguous() for a in segment.arrays):
        return False
    k_dim, v_dim = q.shape[2], _v_dim(segment)
    if segment.codec != "dense" and segment.layout != "fours":
        return False
    if segment.codec == "dense":
        few = q.shape[1] <= _FEW and segment.rows_held() >= SHORT
        if not few or segment.arrays[0].dtype not in _DENSE:
            return False
    return bool(k_dim % 16 == v_dim % 16 == 0 and max(k_dim, v_dim) <= _WIDEST)


def attend(
    q: Tensor, segment: Segment, scale: float, sight: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor] | None:
    """Q [Hkv, R, k_dim], turned to the segment -> o [Hkv, R, v_dim] and lse [Hkv, R]; None: not for us.

    `sight`: first and end of the rows that each query row sees, [Hkv or 1, R] each; None: all live rows.
    A row's result depends neither on the rows beside it nor on the number of threads. Against attention over
    the decoded blocks the relative error is some 1e-4 (int8, int4), 1e-2 (int4 fast), 1e-6 (dense).
    Raises IndexError where the segment names blocks that its arrays do not hold.
    """
    kernels = library()
    if kernels is None or not fits(q, segment):
        return None
    call = _call(kernels, q, segment, scale, sight)
    o = torch.empty(*q.shape[:2], call.v_dim)
    lse = torch.empty(q.shape[:2])
    kernels.ctxeng_attend(
        ctypes.byref(call.blocks), ctypes.byref(call.queries), c_int64(threads()), *_out(o, lse)
    )
    return o.to(q.dtype), lse


def columns(
    q: Tensor, segment: Segment, scale: float, lse: Tensor, sight: tuple[Tensor, Tensor] | None = None
) -> Tensor | None:
    """What each row was given by queries [Hkv, R, k_dim] of that lse [Hkv, R]: sums [Hkv, blocks * 64]."""
    kernels = library()
    if kernels is None or not fits(q, segment):
        return None
    call = _call(kernels, q, segment, scale, sight)
    lse = lse.float().contiguous()
    sums = torch.empty(len(q), call.blocks.blocks * BLOCK)
    kernels.ctxeng_columns(
        ctypes.byref(call.blocks), ctypes.byref(call.queries), *_out(lse), c_int64(threads()), *_out(sums)
    )
    return sums


def gather(segment: Segment, rows: Tensor) -> tuple[Tensor, Tensor] | None:
    """Rows [Hkv, n] of a segment, counted over its blocks -> keys [Hkv, n, k_dim], values [Hkv, n, v_dim].

    Rows below nought or behind the last block are nought. The bits of the reference; None: not for us.
    """
    kernels = library()
    k_dim = segment.arrays[0].shape[-1] * (2 if segment.codec == "int4" else 1)
    q = torch.empty(len(rows), 0, k_dim)
    if kernels is None or segment.codec == "dense" or not fits(q, segment):
        return None
    call, rows = _call(kernels, q, segment, 1.0, None), rows.long().contiguous()
    k, v = torch.empty(*rows.shape, k_dim), torch.empty(*rows.shape, call.v_dim)
    sizes = c_int64(rows.shape[1]), c_int64(threads())
    kernels.ctxeng_gather(ctypes.byref(call.blocks), *_out(rows), *sizes, *_out(k, v))
    return k, v


def _call(
    kernels: Any, q: Tensor, segment: Segment, scale: float, sight: tuple[Tensor, Tensor] | None
) -> Call:
    call = Call(q, segment, scale, sight)
    if not kernels.ctxeng_blocks_sound(ctypes.byref(call.blocks)):
        raise IndexError(
            f"{segment.where} names blocks beyond the {call.blocks.held} that are held,"
            f" or rows beyond {BLOCK}"
        )
    return call


def _out(*tensors: Tensor) -> tuple[c_void_p, ...]:
    return tuple(c_void_p(tensor.data_ptr()) for tensor in tensors)


def _codec(segment: Segment) -> int:
    if segment.codec == "dense":
        return _DENSE[segment.arrays[0].dtype]
    return _FAST if segment.codec == "int4" and segment.fast else _ENCODED[segment.codec]


def _v_dim(segment: Segment) -> int:
    if segment.codec == "dense":
        return int(segment.arrays[1].shape[-1])
    return (
        int(segment.arrays[2].shape[-1]) if segment.codec == "int8" else 2 * int(segment.arrays[3].shape[-1])
    )
