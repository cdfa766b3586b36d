"""What the Triton kernels share: products in two parts, and the keys of a block against queries.

A number is a half-precision number and what that leaves of it, after its row was divided by its largest:
matrix units serve, codes are exact, and of the other factor some 20 bits stay.
"""

from __future__ import annotations

import triton
import triton.language as tl

INT8 = tl.constexpr(1)
INT4 = tl.constexpr(2)


@triton.jit
def _two_parts(a, b, sums):  # Triton's tensors
    high = a.to(tl.float16)
    rest = (a - high.to(tl.float32)).to(tl.float16)
    return tl.dot(rest, b, tl.dot(high, b, sums))


@triton.jit
def exact_dot(a, b):
    """A [M, K] in single precision times b [K, N] that half precision holds exactly -> [M, N]."""
    most = tl.maximum(tl.max(tl.abs(a), 1), 1e-30)
    none = tl.zeros((a.shape[0], b.shape[1]), tl.float32)
    return _two_parts(a / most[:, None], b.to(tl.float16), none) * most[:, None]


@triton.jit
def split_dot(a, b):
    """A [M, K] times b [K, N], both in single precision; what both rests give together is left out."""
    most, wide = tl.maximum(tl.max(tl.abs(a), 1), 1e-30), tl.maximum(tl.max(tl.max(tl.abs(b), 1), 0), 1e-30)
    left, right = a / most[:, None], b / wide
    high = right.to(tl.float16)
    rest = (right - high.to(tl.float32)).to(tl.float16)
    none = tl.zeros((a.shape[0], b.shape[1]), tl.float32)
    return _two_parts(left, high, tl.dot(left.to(tl.float16), rest, none)) * most[:, None] * wide


@triton.jit
def logits(
    q, k, k_scale, k_middle, block,  # q [M, D] in single precision, nought behind channel DK
    CODEC: tl.constexpr, DK: tl.constexpr, D: tl.constexpr,  # D: the power of two above
):  # fmt: skip
    """Products [M, 64] of queries with the keys of one block."""
    t, c = tl.arange(0, 64), tl.arange(0, D)
    inside = c < DK
    row = (block * 64 + t)[None, :]
    scaled = q * tl.load(k_scale + block * DK + c, mask=inside, other=0.0).to(tl.float32)[None, :]
    if CODEC == INT8:
        codes = tl.load(k + row * DK + c[:, None], mask=inside[:, None], other=0)
        return exact_dot(scaled, codes.to(tl.float32))
    HALF: tl.constexpr = DK // 2
    at = tl.where(c < HALF, c, c - HALF)  # the byte that holds a channel: low bits, then high ones
    packed = tl.load(k + row * HALF + at[:, None], mask=inside[:, None], other=0)
    codes = tl.where((c < HALF)[:, None], packed & 15, packed >> 4)
    middle = tl.load(k_middle + block * DK + c, mask=inside, other=0.0).to(tl.float32)
    shift = tl.sum(q * middle[None, :] - 7.5 * scaled, 1)
    return exact_dot(scaled, codes.to(tl.float32)) + shift[:, None]
