"""Attention of a few queries over the segments of a cache, merged by log-sum-exp: the torch reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor

from ctxeng_kernels import native
from ctxeng_kernels.segment import Segment


def attend(
    q: Tensor,
    segments: Sequence[Segment],
    kv_heads: int,
    *,
    at: int = 0,
    window: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Softmax attention over all segments together.

    q [Hq, Tq, d], rotated to their positions at .. at + Tq - 1; Hq / kv_heads query heads in a row share
    a KV head. With `window`, a query at p sees positions above p - window only.
    Returns o [Hq, Tq, v_dim] and lse [Hq, Tq]. Rows that see nothing are zeros with lse -inf.
    Raises ValueError where shapes do not fit.
    """
    if q.dim() != 3 or q.shape[0] % kv_heads:  # noqa: PLR2004 - heads, queries, channels
        raise ValueError(f"q is [Hq, Tq, d] with Hq a multiple of {kv_heads} KV heads, not {tuple(q.shape)}")
    if not segments:
        return torch.zeros_like(q), q.new_full(q.shape[:2], -math.inf)
    if len(segments) == 1 and segments[0].temperature == segments[0].scale == 1.0:
        return _one(q, segments[0], kv_heads, at, window)
    parts = []
    for (temperature, scale), members in groupby(segments, key=lambda s: (s.temperature, s.scale)):
        found = merge([_one(q, segment, kv_heads, at, window) for segment in members])
        if (temperature, scale) != (1.0, 1.0):
            found = found[0], found[1] * (temperature * scale)
        parts.append(found)
    return merge(parts)


def merge(parts: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """(o, lse) of disjoint sets of keys -> (o, lse) of their union (FlashAttention's rescaling)."""
    if len(parts) == 1:
        return parts[0]
    logs = torch.stack([lse for _, lse in parts])
    total = logs.logsumexp(0)
    shares = (logs - total.nan_to_num(neginf=0.0)).exp()
    out = torch.zeros_like(parts[0][0])
    for (o, _), share in zip(parts, shares, strict=True):
        out += o * share.unsqueeze(-1).to(o.dtype)
    return out, total


def _one(q: Tensor, segment: Segment, kv_heads: int, at: int, window: int | None) -> tuple[Tensor, Tensor]:
    heads, count, d = q.shape
    q = segment.facing(q).reshape(kv_heads, -1, d)
    if segment.channels is not None:
        q = q.gather(2, segment.channels.unsqueeze(1).expand(-1, q.shape[1], -1))
    scale = 1 / (math.sqrt(d) * segment.temperature)
    if window is None or isinstance(segment.positions, int):
        found = native.attend(q, segment, scale, segment.sight(heads // kv_heads, count, at, window))
        if found is not None:
            return found[0].view(heads, count, -1), found[1].view(heads, count)
    k, v, live = segment.rows(kv_heads, q.dtype)
    if k.shape[1] == 0:
        return q.new_zeros(heads, count, v.shape[-1]), q.new_full((heads, count), -math.inf)
    mask = _mask(segment, k.shape[1], count, at, window, live)
    if mask is not None:
        mask = mask.expand(kv_heads, count, -1).repeat(1, q.shape[1] // count, 1)
    o, lse = softmax_rows(q[None], k[None], v[None], mask, scale)
    return o.reshape(heads, count, -1), lse.reshape(heads, count)


def _mask(
    segment: Segment, rows: int, count: int, at: int, window: int | None, live: Tensor | None
) -> Tensor | None:
    """[Hkv or 1, Tq or 1, n]: True where a query may look; None: everywhere."""
    mask = segment.order(rows, count, live)
    if window is not None:
        where = segment.positions
        positions = where if isinstance(where, Tensor) else (where + torch.arange(rows)).unsqueeze(0)
        near = (at + torch.arange(count)).unsqueeze(1) - positions.unsqueeze(1) < window
        if not bool(near.all()):
            mask = near if mask is None else mask & near
    return mask


def softmax_rows(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> tuple[Tensor, Tensor]:
    """Q [1, H, n, d], k [1, H, m, d], v [1, H, m, e], mask [H, n, m] -> o [1, H, n, e] and lse [1, H, n].

    Torch's fused CPU attention where it applies (it never holds the n x m map), else plain matrix products.
    """
    if _FLASH is not None and q.is_cpu and q.dtype in _FUSED and q.shape[-1] == v.shape[-1]:
        bias = None
        if mask is not None:
            bias = torch.zeros(mask.shape, dtype=q.dtype).masked_fill_(~mask, -math.inf)[None]
        o, lse = _FLASH(q, k, v, 0.0, False, attn_mask=bias, scale=scale)  # noqa: FBT003
        if mask is None:
            return o, lse
        blind = ~mask.any(-1)
        return o.masked_fill(blind.unsqueeze(-1), 0), lse.masked_fill(blind, -math.inf)
    return _plain(q, k, v, mask, scale)


# what torch's public call runs on a CPU, but with the log-sum-exp given out
_PACKET = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)
_FLASH = getattr(_PACKET, "default", None)
_FUSED = (torch.float32, torch.bfloat16, torch.float16) if _FLASH is not None else ()


def _plain(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> tuple[Tensor, Tensor]:
    logits = torch.matmul(q, k.transpose(-1, -2)).float() * scale
    if mask is not None:
        logits = logits.masked_fill(~mask, -math.inf)
    lse = logits.logsumexp(-1)
    weights = (logits - lse.nan_to_num(neginf=0.0).unsqueeze(-1)).exp().to(v.dtype)
    return torch.matmul(weights, v), lse
