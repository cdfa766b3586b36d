"""What each row of a cache was given, from the queries' log-sum-exps, on a GPU."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from ctxeng_kernels.gpu.launch import ROWS, Blocks, sights
from ctxeng_kernels.gpu.parts import logits
from ctxeng_kernels.pack import BLOCK
from ctxeng_kernels.segment import Segment


@triton.jit
def columns_kernel(
    q, k, k_scale, k_middle, v, v_scale, v_middle, ids, fill, first, end, lse, sums,
    rows, blocks, scale,
    CODEC: tl.constexpr, DK: tl.constexpr, DV: tl.constexpr, D: tl.constexpr, E: tl.constexpr,
    M: tl.constexpr,
):  # fmt: skip
    """The 64 sums of one block of one KV head, over all query rows."""
    head, number = tl.program_id(0), tl.program_id(1)
    c, t = tl.arange(0, D), tl.arange(0, 64)
    block = tl.load(ids + head * blocks + number)
    live = tl.load(fill + head * blocks + number)
    place = number * 64 + t
    given = tl.zeros((64,), tl.float32)
    for start in range(0, rows, M):
        m = start + tl.arange(0, M)
        there = m < rows
        row = head * rows + m
        query = tl.load(
            q + row[:, None] * DK + c[None, :], mask=there[:, None] & (c < DK)[None, :], other=0.0
        )
        log = tl.load(lse + row, mask=there, other=float("inf"))
        low = tl.load(first + row, mask=there, other=0)
        high = tl.load(end + row, mask=there, other=0)
        x = logits(query, k, k_scale, k_middle, block, CODEC, DK, D) * scale
        seen = (t < live)[None, :] & (place[None, :] >= low[:, None]) & (place[None, :] < high[:, None])
        seen = seen & (log != float("-inf"))[:, None]
        given += tl.sum(tl.where(seen, tl.exp(tl.where(seen, x - log[:, None], 0.0)), 0.0), 0)
    tl.store(sums + (head * blocks + number) * 64 + t, given)


def columns(
    q: Tensor, segment: Segment, scale: float, lse: Tensor, sight: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """What each row was given by queries [Hkv, R, k_dim] of that lse [Hkv, R]: sums [Hkv, blocks * 64].

    Raises ValueError for what does not fit.
    """
    given = Blocks.of(q, segment)
    kv_heads, rows, _ = q.shape
    first, end = sights(q, given.count, sight)
    sums = q.new_empty(kv_heads, given.count * BLOCK).float()
    columns_kernel[kv_heads, given.count](
        q.float().contiguous(), *given.arrays, first, end, lse.float().contiguous(), sums,
        rows, given.count, scale, **given.sizes, M=ROWS,
    )  # fmt: skip
    return sums
