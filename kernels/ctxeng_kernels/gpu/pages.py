"""Which pages matter to some queries, on a GPU: bounds of 32 pages at a time, then torch's top-k."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ctxeng_kernels.gpu.launch import ROWS
from ctxeng_kernels.gpu.parts import split_dot

PAGES = 32  # of one program


@triton.jit
def bounds_kernel(
    q, bounds, scores, rows, pages,
    DK: tl.constexpr, D: tl.constexpr, M: tl.constexpr, PAGES: tl.constexpr,
):  # fmt: skip
    """The largest bound of a KV head's queries on PAGES pages."""
    head, part = tl.program_id(0), tl.program_id(1)
    c, page = tl.arange(0, D), part * PAGES + tl.arange(0, PAGES)
    inside = (c < DK)[:, None] & (page < pages)[None, :]
    at = ((head * pages + page) * 2)[None, :] * DK + c[:, None]
    low = tl.load(bounds + at, mask=inside, other=0.0).to(tl.float32)
    high = tl.load(bounds + at + DK, mask=inside, other=0.0).to(tl.float32)
    best = tl.full((PAGES,), float("-inf"), tl.float32)
    for start in range(0, rows, M):
        m = start + tl.arange(0, M)
        there = (m < rows)[:, None]
        x = tl.load(
            q + (head * rows + m)[:, None] * DK + c[None, :], mask=there & (c < DK)[None, :], other=0.0
        )
        found = split_dot(tl.maximum(x, 0.0), high) + split_dot(tl.minimum(x, 0.0), low)
        best = tl.maximum(best, tl.max(tl.where(there, found, float("-inf")), 0))
    tl.store(scores + head * pages + page, best, mask=page < pages)


def best_pages(q: Tensor, bounds: Tensor, count: int) -> Tensor:
    """The `count` pages that could matter most to queries [Hkv, G, d]: numbers [Hkv, count], rising.

    As the op of that name for the CPU. Raises ValueError, with both shapes, where they do not fit.
    """
    if bounds.dim() != 4 or (q.shape[0], 2, q.shape[2]) != (bounds.shape[0], *bounds.shape[2:]):
        raise ValueError(f"queries {tuple(q.shape)} do not fit {tuple(bounds.shape)}")
    heads, pages, _, d = bounds.shape
    if not 0 <= count <= pages:
        raise ValueError(f"{count} pages cannot be chosen of {pages}")
    scores = torch.empty(heads, pages, device=q.device)
    width = max(16, 1 << (d - 1).bit_length())
    bounds_kernel[heads, triton.cdiv(pages, PAGES)](
        q.float().contiguous(),
        bounds.contiguous(),
        scores,
        q.shape[1],
        pages,
        DK=d,
        D=width,
        M=ROWS,
        PAGES=PAGES,
    )
    return scores.topk(count, -1).indices.sort(-1).values
