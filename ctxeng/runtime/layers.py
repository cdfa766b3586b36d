"""The parts of a decoder layer: linear maps, the norm, SwiGLU."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional


class Linear(Protocol):
    """x [T, in] -> [T, out]."""

    def __call__(self, x: Tensor) -> Tensor:
        """The map."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of its weights."""
        ...


@dataclass(frozen=True)
class Dense:
    """A plain matrix [out, in], and its bias [out] if it has one."""

    weight: Tensor
    bias: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """The map."""
        return functional.linear(x, self.weight, self.bias)

    @property
    def nbytes(self) -> int:
        """Bytes of the matrix and the bias."""
        return int(self.weight.nbytes) + int(self.bias.nbytes if self.bias is not None else 0)


@dataclass(frozen=True)
class Norm:
    """Root-mean-square norm over the last axis (Zhang and Sennrich 2019), with its weight."""

    weight: Tensor
    eps: float
    _floor: Tensor = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_floor", torch.full(self.weight.shape, self.eps))

    def __call__(self, x: Tensor) -> Tensor:
        """The same shape, at unit mean square, weighted. The mean is taken in fp32."""
        if x.dtype == torch.float32:  # five steps, where torch's own takes seven
            return x * torch.addcmul(self._floor, x, x).mean(-1, keepdim=True).rsqrt() * self.weight
        wide = x.float()
        return self.weight * (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)).to(x.dtype)


@dataclass(frozen=True)
class Layer:
    """One decoder layer; query, key and value are one map, and so are gate and up."""

    before: Norm
    qkv: Linear
    out: Linear
    between: Norm
    gate_up: Linear
    down: Linear
    q_norm: Norm | None = None
    k_norm: Norm | None = None

    def mlp(self, x: Tensor) -> Tensor:
        """SwiGLU: down(silu(gate(x)) * up(x))."""
        gate, up = self.gate_up(x).chunk(2, -1)
        return self.down(functional.silu(gate) * up)

    @property
    def nbytes(self) -> int:
        """Bytes of the four maps."""
        return self.qkv.nbytes + self.out.nbytes + self.gate_up.nbytes + self.down.nbytes
