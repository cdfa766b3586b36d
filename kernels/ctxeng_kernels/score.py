"""How much attention each row of a cache was given: a second pass over queries, from their log-sum-exps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

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
        k, _, live = segment.rows(kv_heads, q.dtype)
        queries, count, rows = q, q.shape[1], k.shape[1]
        if segment.turn is not None:
            cos, sin = segment.turn
            queries = queries * cos + queries.roll(queries.shape[-1] // 2, -1) * sin
        order = segment.order(rows, count, live)
        sums = k.new_zeros(kv_heads, rows, dtype=torch.float32)
        for start in range(0, count, 64):
            part = slice(start, min(count, start + 64))
            mask = None if order is None else order.expand(-1, count, -1)[:, None, part]
            sums += probabilities(queries[:, part], k, lse[:, part], mask).sum((1, 2))
        found.append(sums)
    return torch.cat(found, 1)
