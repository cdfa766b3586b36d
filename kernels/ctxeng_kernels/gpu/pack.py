"""Codes of blocks of 64 tokens, on a GPU: the bits that the reference gives."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ctxeng_kernels.pack import BLOCK, GROUP, Codec, fields, nibbles

_BYTES = 128  # channels of one program


@triton.jit
def _nearest(x):  # halves to the even neighbour, for |x| < 2^22
    return (x + 12582912.0) - 12582912.0


@triton.jit
def encode_kernel(
    x, codes, scales, middles,
    BITS: tl.constexpr, BY_ROW: tl.constexpr, DIM: tl.constexpr, WIDE: tl.constexpr,
    STEP: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """One block, STEP channels: a scale for each over the rows, or for each row over these channels."""
    block, part = tl.program_id(0), tl.program_id(1)
    t, c = tl.arange(0, 64), tl.arange(0, WIDE)
    channel = part * STEP + c
    inside = (c < STEP) & (channel < DIM)
    row = block * 64 + t
    at = tl.minimum(tl.minimum(channel, part * STEP + STEP - 1), DIM - 1)  # what lacks widens no range
    given = tl.load(x + row[:, None] * DIM + at[None, :]).to(tl.float32)
    AXIS: tl.constexpr = 1 if BY_ROW else 0
    if BITS == 8:
        middle = tl.max(given, AXIS) * 0.0
        wide = tl.div_rn(tl.max(tl.abs(given), AXIS), middle + 127.0)
    else:
        low, high = tl.min(given, AXIS), tl.max(given, AXIS)
        wide = tl.div_rn(high - low, low * 0.0 + 15.0)
        middle = tl.minimum(tl.maximum((high + low) / 2, -60000.0), 60000.0).to(tl.float16).to(tl.float32)
    scale = tl.minimum(tl.maximum(wide, 6e-5), 60000.0).to(tl.float16)
    if BY_ROW:
        tl.store(scales + row * PARTS + part, scale)
        if BITS == 4:
            tl.store(middles + row * PARTS + part, middle.to(tl.float16))
    else:
        tl.store(scales + block * DIM + channel, scale, mask=inside)
        if BITS == 4:
            tl.store(middles + block * DIM + channel, middle.to(tl.float16), mask=inside)
    step, centre = tl.expand_dims(scale.to(tl.float32), AXIS), tl.expand_dims(middle, AXIS)
    step = tl.broadcast_to(step, (64, WIDE))
    shifted = tl.div_rn(given - centre, step)
    if BITS == 8:
        found = tl.minimum(tl.maximum(_nearest(shifted), -127.0), 127.0).to(tl.int8)
    else:
        found = tl.minimum(tl.maximum(_nearest(shifted + 7.5), 0.0), 15.0).to(tl.uint8)
    tl.store(codes + row[:, None] * DIM + channel[None, :], found, mask=inside[None, :])


def encode(codec: Codec, k: Tensor, v: Tensor) -> tuple[Tensor, ...]:
    """Blocks k [N, 64, k_dim] and v [N, 64, v_dim] as the arrays of `pack.fields`, by rows.

    Raises ValueError for another codec than int8 and int4, or blocks of another height.
    """
    if codec not in ("int8", "int4") or k.shape[1] != BLOCK or v.shape[:2] != k.shape[:2]:
        raise ValueError(
            f"{codec} of keys {tuple(k.shape)} and values {tuple(v.shape)} is not for these kernels"
        )
    forms = fields(codec, k.shape[2], v.shape[2], torch.float32)
    arrays = [torch.empty(len(k), *f.shape, dtype=f.dtype, device=k.device) for f in forms]
    count = len(arrays) // 2
    for x, own, by_row in ((k, arrays[:count], False), (v, arrays[count:], True)):
        own[0] = _codes(codec, x.contiguous(), own, by_row=by_row)
        arrays[count if by_row else 0] = own[0]
    return tuple(arrays)


def _codes(codec: Codec, x: Tensor, arrays: list[Tensor], *, by_row: bool) -> Tensor:
    bits, dim = (8 if codec == "int8" else 4), x.shape[2]
    codes = torch.empty(x.shape, dtype=torch.int8 if bits == 8 else torch.uint8, device=x.device)
    step = (dim if bits == 8 else GROUP) if by_row else _BYTES
    parts, wide = triton.cdiv(dim, step), max(16, 1 << (step - 1).bit_length())
    encode_kernel[len(x), parts](
        x, codes, arrays[1], arrays[-1], BITS=bits, BY_ROW=by_row, DIM=dim, WIDE=wide, STEP=step, PARTS=parts
    )
    return codes if bits == 8 else nibbles(codes)
