"""Which pages or clusters of keys matter to some queries: scores and choice in one op."""

from __future__ import annotations

import ctypes
from ctypes import Structure, c_int64, c_void_p

import torch
from torch import Tensor

from ctxeng_kernels.library import library
from ctxeng_kernels.pack import BLOCK
from ctxeng_kernels.threads import threads


class _Pages(Structure):
    _fields_ = [(name, c_int64) for name in ("kv_heads", "rows", "d", "pages", "count")]


def page_bounds(k: Tensor) -> Tensor:
    """Least and largest keys [Hkv, pages, 2, d] of pages of 64 rows, keys [Hkv, pages * 64, d]."""
    pages = k.unflatten(1, (-1, BLOCK))
    return torch.stack((pages.amin(2), pages.amax(2)), 2)


def best_pages(q: Tensor, bounds: Tensor, count: int) -> Tensor:
    """The `count` pages that could matter most to queries [Hkv, G, d]: numbers [Hkv, count], rising.

    A page's score is the largest sum over channels of max(q * least, q * largest) of the group's queries
    (Quest, Tang et al. 2024, equation 2). bounds [Hkv, pages, 2, d].
    Raises ValueError, with both shapes, where they do not fit or there are fewer pages.
    """
    _check(q, bounds.shape[0], bounds.shape[-1], bounds.shape, bounds.dim() == 4 and bounds.shape[2] == 2)  # noqa: PLR2004
    pages = bounds.shape[1]
    if not 0 <= count <= pages:
        raise ValueError(f"{count} pages cannot be chosen of {pages}")
    kernels = library() if _fits(q, bounds) else None
    if kernels is None:
        low, high = (bounds[:, :, side].transpose(1, 2).to(q.dtype) for side in (0, 1))
        scores = (q.clamp(min=0) @ high + q.clamp(max=0) @ low).amax(1)
        return scores.argsort(dim=-1, descending=True, stable=True)[:, :count].sort(-1).values
    chosen = torch.empty(len(q), count, dtype=torch.long)
    shape = _Pages(*q.shape, pages, count)
    kernels.ctxeng_best_pages(ctypes.byref(shape), *_at(bounds, q), c_int64(threads()), *_at(chosen))
    return chosen


def centroid_shares(q: Tensor, centroids: Tensor, sizes: Tensor, looked: Tensor) -> Tensor:
    """The share of the attention that a key of each cluster has [Hkv, C], the largest of a group's queries.

    exp(q . c_j) over the sum of sizes_i * exp(q . c_i) (Squeezed Attention, Hooper et al. 2024, section 4).
    q [Hkv, G, d] with the softmax's scale in it, centroids [Hkv, C, d], sizes [Hkv, C] and looked [Hkv, C]:
    clusters that are empty or not looked at have no share. Raises ValueError where shapes do not fit.
    """
    fits = centroids.dim() == 3 and sizes.shape == looked.shape == centroids.shape[:2]  # noqa: PLR2004
    _check(q, centroids.shape[0], centroids.shape[-1], centroids.shape, fits)
    kernels = library() if _fits(q, centroids) and sizes.dtype == torch.float32 else None
    if kernels is None:
        logits = (q @ centroids.transpose(1, 2)).masked_fill(~(looked & (sizes > 0)).unsqueeze(1), -torch.inf)
        total = (logits + sizes.clamp(min=1).log().unsqueeze(1)).logsumexp(-1, keepdim=True)
        return (logits - total).exp().nan_to_num(0.0).amax(1)
    found, shape = torch.empty(sizes.shape), _Pages(*q.shape, sizes.shape[1], 0)
    arrays = centroids, sizes.contiguous(), looked.contiguous(), q
    kernels.ctxeng_centroids(ctypes.byref(shape), *_at(*arrays), c_int64(threads()), *_at(found))
    return found


def _check(q: Tensor, heads: int, d: int, other: torch.Size, fits: bool) -> None:  # noqa: FBT001
    if q.dim() != 3 or not fits or (q.shape[0], q.shape[2]) != (heads, d):  # noqa: PLR2004 - heads, rows, d
        raise ValueError(f"queries {tuple(q.shape)} do not fit {tuple(other)}")


def _fits(*tensors: Tensor) -> bool:
    plain = all(x.is_cpu and x.dtype == torch.float32 and x.is_contiguous() for x in tensors)
    return plain and tensors[0].shape[-1] % 8 == 0


def _at(*tensors: Tensor) -> tuple[c_void_p, ...]:
    return tuple(c_void_p(tensor.data_ptr()) for tensor in tensors)
