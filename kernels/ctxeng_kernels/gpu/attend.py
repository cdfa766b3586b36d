"""Attention of some query rows over encoded blocks on a GPU: ranges of blocks apart, then merged."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ctxeng_kernels.gpu.launch import ROWS, Blocks, sights
from ctxeng_kernels.gpu.parts import INT4, INT8, exact_dot, logits, split_dot
from ctxeng_kernels.segment import Segment

RANGE = 8  # blocks that one program reads


@triton.jit
def values(v, v_scale, v_middle, block, live, CODEC: tl.constexpr, DV: tl.constexpr, E: tl.constexpr):
    """Values [64, E] of one block; nought where no row or channel is. int8: codes, without their scale."""
    t = tl.arange(0, 64)
    e = tl.arange(0, E)
    inside = (t < live)[:, None] & (e < DV)[None, :]
    row = block * 64 + t
    if CODEC != INT4:
        return tl.load(v + row[:, None] * DV + e[None, :], mask=inside, other=0).to(tl.float32)
    HALF: tl.constexpr = DV // 2
    GROUPS: tl.constexpr = (DV + 31) // 32
    at = tl.where(e < HALF, e, e - HALF)
    packed = tl.load(v + row[:, None] * HALF + at[None, :], mask=inside, other=0)
    codes = tl.where((e < HALF)[None, :], packed & 15, packed >> 4).to(tl.float32)
    group = row[:, None] * GROUPS + (e // 32)[None, :]
    scale = tl.load(v_scale + group, mask=inside, other=0.0).to(tl.float32)
    middle = tl.load(v_middle + group, mask=inside, other=0.0).to(tl.float32)
    return tl.where(inside, (codes - 7.5) * scale + middle, 0.0)


@triton.jit
def attend_kernel(
    q, k, k_scale, k_middle, v, v_scale, v_middle, ids, fill, first, end, o, lse,
    rows, blocks, scale,
    CODEC: tl.constexpr, DK: tl.constexpr, DV: tl.constexpr, D: tl.constexpr, E: tl.constexpr,
    M: tl.constexpr, RANGE: tl.constexpr,
):  # fmt: skip
    """One KV head, one range of blocks, M query rows: their state o [ranges, Hkv, rows, DV] and lse."""
    head, part, tile = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    m = tile * M + tl.arange(0, M)
    c, e, t = tl.arange(0, D), tl.arange(0, E), tl.arange(0, 64)
    there = m < rows
    row = head * rows + m
    query = tl.load(q + row[:, None] * DK + c[None, :], mask=there[:, None] & (c < DK)[None, :], other=0.0)
    start = tl.load(first + row, mask=there, other=0)
    stop = tl.load(end + row, mask=there, other=0)
    top = tl.full((M,), float("-inf"), tl.float32)
    total = tl.zeros((M,), tl.float32)
    sums = tl.zeros((M, E), tl.float32)
    for number in range(part * RANGE, tl.minimum(blocks, (part + 1) * RANGE)):
        block = tl.load(ids + head * blocks + number)
        live = tl.load(fill + head * blocks + number)
        x = logits(query, k, k_scale, k_middle, block, CODEC, DK, D) * scale
        place = number * 64 + t
        seen = (t < live)[None, :] & (place[None, :] >= start[:, None]) & (place[None, :] < stop[:, None])
        x = tl.where(seen, x, float("-inf"))
        higher = tl.maximum(top, tl.max(x, 1))
        base = tl.where(higher == float("-inf"), 0.0, higher)
        p = tl.exp(x - base[:, None])
        down = tl.exp(top - base)
        total = total * down + tl.sum(p, 1)
        held = values(v, v_scale, v_middle, block, live, CODEC, DV, E)
        if CODEC == INT8:
            p = p * tl.load(v_scale + block * 64 + t, mask=t < live, other=0.0).to(tl.float32)[None, :]
            sums = sums * down[:, None] + exact_dot(p, held)
        else:
            sums = sums * down[:, None] + split_dot(p, held)
        top = higher
    share = tl.where(total == 0.0, 0.0, 1.0 / total)
    at = part * tl.num_programs(0) * rows + row
    inside = there[:, None] & (e < DV)[None, :]
    tl.store(o + at[:, None] * DV + e[None, :], sums * share[:, None], mask=inside)
    tl.store(lse + at, tl.where(total == 0.0, float("-inf"), top + tl.log(total)), mask=there)


def attend(
    q: Tensor, segment: Segment, scale: float, sight: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """Q [Hkv, R, k_dim] -> o [Hkv, R, v_dim] and lse [Hkv, R], in single precision, where the segment lies.

    Blocks of int8 or int4 lie by rows, keys and values of at most 256 channels. `sight`: as for the
    compiled kernels. Raises ValueError for what does not fit.
    """
    given = Blocks.of(q, segment)
    kv_heads, rows, _ = q.shape
    ranges = max(1, triton.cdiv(given.count, RANGE))
    first, end = sights(q, given.count, sight)
    o = q.new_empty(ranges, kv_heads, rows, given.dv, dtype=torch.float32)
    lse = q.new_empty(ranges, kv_heads, rows, dtype=torch.float32)
    grid = kv_heads, ranges, triton.cdiv(rows, ROWS)
    attend_kernel[grid](
        q.float().contiguous(), *given.arrays, first, end, o, lse, rows, given.count, scale,
        **given.sizes, M=ROWS, RANGE=RANGE,
    )  # fmt: skip
    total = lse.logsumexp(0)
    shares = (lse - total.nan_to_num(neginf=0.0)).exp()
    return (o * shares.unsqueeze(-1)).sum(0), total
