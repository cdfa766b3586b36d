"""How much attention each row of a cache was given: a second pass over queries, from their log-sum-exps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ctxeng_kernels import native
from ctxeng_kernels.segment import Segment


def probabilities(q: Tensor, k: Tensor, lse: Tensor, mask: Tensor | None = None) -> Tensor:
    """Attention weights [Hkv, G, T, n] of queries q [Hq, T, d] on keys k [Hkv, n, d], given lse [Hq, T]."""
    kv_heads = len(k)
    grouped = q.reshape(kv_heads, -1, q.shape[-1])
    logits = torch.matmul(grouped, k.transpose(1, 2)).float() / math.sqrt(q.shape[-1])
    logits = logits.view(kv_heads, -1, q.shape[1], k.shape[1])
    if mask is not None:
        logits = logits.masked_fill(~mask, -math.inf)
    return (logits - lse.view(kv_heads, -1, q.shape[1], 1)).exp()


def column_sums(q: Tensor, segments: Sequence[Segment], kv_heads: int, lse: Tensor) -> Tensor:
    """Attention that each row got from these queries [Hkv, n], summed over queries and their group.

    q [Hq, T, d] as it met the segments, lse [Hq, T]; rows are the segments' behind one another. At most
    64 queries are held against all rows at a time, so the T x n map never exists.
    """
    found = []
    for segment in segments:
        queries = segment.facing(q)
        sums = _compiled(queries, segment, kv_heads, lse)
        found.append(_plain(queries, segment, kv_heads, lse) if sums is None else sums)
    return torch.cat(found, 1)


def _compiled(q: Tensor, segment: Segment, kv_heads: int, lse: Tensor) -> Tensor | None:
    heads, count, d = q.shape
    sight = segment.sight(heads // kv_heads, count)
    rows = q.reshape(kv_heads, -1, d), lse.reshape(kv_heads, -1)
    sums = native.columns(rows[0], segment, 1 / math.sqrt(d), rows[1], sight)
    return None if sums is None else sums[:, : segment.rows_held()]


def _plain(q: Tensor, segment: Segment, kv_heads: int, lse: Tensor) -> Tensor:
    k, _, live = segment.rows(kv_heads, q.dtype)
    count, rows = q.shape[1], k.shape[1]
    order = segment.order(rows, count, live)
    sums = k.new_zeros(kv_heads, rows, dtype=torch.float32)
    for start in range(0, count, 64):
        part = slice(start, min(count, start + 64))
        mask = None if order is None else order.expand(-1, count, -1)[:, None, part]
        sums += probabilities(q[:, part], k, lse[:, part], mask).sum((1, 2))
    return sums
