"""Codes of a block of 64 tokens: plain, int8 and int4, in KIVI's layout (Liu et al. 2024, section 3).

Keys are scaled per channel and block, values per token (int4: per token and group of 32 channels). Arrays are
block first: keys and values [N, 64, d].
"""

from __future__ import annotations

import math
from ctypes import c_int64, c_void_p
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ctxeng_kernels.library import library
from ctxeng_kernels.threads import threads

BLOCK = 64
GROUP = 32  # channels of a value that share an int4 scale

Codec = Literal["dense", "int8", "int4"]
CODECS: tuple[Codec, ...] = ("dense", "int8", "int4")


@dataclass(frozen=True)
class Field:
    """One array of a codec: its shape behind the block axis, and its type."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def nbytes(self) -> int:
        """Bytes a block."""
        return math.prod(self.shape) * int(self.dtype.itemsize)


def fields(codec: Codec, k_dim: int, v_dim: int, dtype: torch.dtype) -> tuple[Field, ...]:
    """The arrays that hold a block: those of the keys, then those of the values. Raises ValueError by name.

    dense: k, v. int8: k codes, k scale [k_dim]; v codes, v scale [64]. int4: k codes (two a byte, the lower
    half of the channels in the low bits), k scale, k middle; v codes, v scale [64, groups], v middle.
    """
    if codec == "dense":
        return Field((BLOCK, k_dim), dtype), Field((BLOCK, v_dim), dtype)
    if codec == "int8":
        half, byte = torch.float16, torch.int8
        return (
            Field((BLOCK, k_dim), byte),
            Field((k_dim,), half),
            Field((BLOCK, v_dim), byte),
            Field((BLOCK,), half),
        )
    if codec == "int4":
        if k_dim % 2 or v_dim % 2:
            raise ValueError(f"int4 packs two channels a byte: {k_dim} and {v_dim} must be even")
        groups = -(-v_dim // GROUP)
        key = Field((k_dim,), torch.float16)
        value = Field((BLOCK, groups), torch.float16)
        return (
            Field((BLOCK, k_dim // 2), torch.uint8),
            key,
            key,
            Field((BLOCK, v_dim // 2), torch.uint8),
            value,
            value,
        )
    raise ValueError(f"unknown codec {codec!r}; known: {', '.join(CODECS)}")


def block_bytes(codec: Codec, k_dim: int, v_dim: int, dtype: torch.dtype) -> int:
    """Bytes of one block of one KV head."""
    return sum(field.nbytes for field in fields(codec, k_dim, v_dim, dtype))


def encode(codec: Codec, k: Tensor, v: Tensor) -> tuple[Tensor, ...]:
    """Blocks k [N, 64, k_dim] and v [N, 64, v_dim] as the arrays of `fields`. Inputs stay as they are.

    Compiled kernels give the same bits as the reference.
    """
    if codec == "dense":
        return k, v
    kernels = library() if _plain(k) and _plain(v) else None
    if kernels is not None:
        return (*_compiled(kernels, codec, k, by_row=False), *_compiled(kernels, codec, v, by_row=True))
    if codec == "int8":
        k_codes, k_scale = _eight(k, 1)
        v_codes, v_scale = _eight(v, 2)
        return k_codes, k_scale.squeeze(1), v_codes, v_scale.squeeze(2)
    k_codes, k_scale, k_middle = _four(k, 1)
    v_codes, v_scale, v_middle = _four(_grouped(v), 3)
    return (
        nibbles(k_codes),
        k_scale.squeeze(1),
        k_middle.squeeze(1),
        nibbles(v_codes.flatten(2)[..., : v.shape[-1]]),
        v_scale.squeeze(3),
        v_middle.squeeze(3),
    )


def _plain(x: Tensor) -> bool:
    shaped = x.shape[-1] % 16 == 0 and x.shape[-2] == BLOCK
    return bool(shaped and x.is_cpu and x.dtype == torch.float32)


def _compiled(kernels: Any, codec: Codec, x: Tensor, *, by_row: bool) -> list[Tensor]:
    """Codes, scales and, of int4, middles."""
    x = x.contiguous()
    blocks, d = x.shape[0], x.shape[-1]
    own = fields(codec, d, d, x.dtype)
    forms = own[len(own) // 2 :] if by_row else own[: len(own) // 2]
    arrays = [torch.empty(blocks, *form.shape, dtype=form.dtype) for form in forms]
    bits = c_int64(8 if codec == "int8" else 4)
    sizes = c_int64(by_row), c_void_p(x.data_ptr()), *map(c_int64, (blocks, d, threads()))
    places = [c_void_p(array.data_ptr()) for array in (*arrays, arrays[-1])][:3]
    kernels.ctxeng_encode(bits, *sizes, *places)
    return arrays


def decode(codec: Codec, arrays: tuple[Tensor, ...], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The keys [..., 64, k_dim] and values [..., 64, v_dim] that the codes stand for."""
    if codec == "dense":
        return arrays[0], arrays[1]
    if codec == "int8":
        k, k_scale, v, v_scale = arrays
        return k.to(dtype) * k_scale.unsqueeze(-2).to(dtype), v.to(dtype) * v_scale.unsqueeze(-1).to(dtype)
    k, k_scale, k_middle, v, v_scale, v_middle = arrays
    keys = _from_nibbles(k, dtype) * k_scale.unsqueeze(-2).to(dtype) + k_middle.unsqueeze(-2).to(dtype)
    codes = _from_nibbles(v, dtype)
    width = codes.shape[-1]
    scale, middle = (x.to(dtype).repeat_interleave(GROUP, -1)[..., :width] for x in (v_scale, v_middle))
    return keys, codes * scale + middle


def _eight(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Signed codes with one scale along the axis; the scale is rounded first, so that codes know it."""
    scale = (x.abs().amax(axis, keepdim=True).float() / 127).clamp(6e-5, 6e4).half()
    return (x.float() / scale.float()).round().clamp(-127, 127).to(torch.int8), scale


def _four(x: Tensor, axis: int) -> tuple[Tensor, Tensor, Tensor]:
    """Codes 0 to 15 around the middle of the range: value = (code - 7.5) * scale + middle."""
    low, high = x.amin(axis, keepdim=True).float(), x.amax(axis, keepdim=True).float()
    scale = ((high - low) / 15).clamp(6e-5, 6e4).half()
    middle = ((high + low) / 2).clamp(-6e4, 6e4).half()
    codes = ((x.float() - middle.float()) / scale.float() + 7.5).round().clamp(0, 15)
    return codes.to(torch.uint8), scale, middle


def _grouped(v: Tensor) -> Tensor:
    """[N, 64, d] -> [N, 64, groups, 32]; a last group that is short repeats its last channel."""
    short = -v.shape[-1] % GROUP
    if short:
        v = torch.cat((v, v[..., -1:].expand(*v.shape[:-1], short)), -1)
    return v.unflatten(-1, (-1, GROUP))


def nibbles(codes: Tensor) -> Tensor:
    """Codes [..., d] two a byte [..., d / 2], the first half in the low bits."""
    low, high = codes.chunk(2, -1)
    return low | (high << 4)


def _from_nibbles(packed: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.cat((packed & 15, packed >> 4), -1).to(dtype) - 7.5
