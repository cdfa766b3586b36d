"""Rotary position embedding (Su et al., RoFormer, section 3.4.2) with the published scalings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import torch
from torch import Tensor

from ctxeng.errors import UnknownName

Scaling = Literal["default", "linear", "dynamic", "yarn", "llama3"]
_SCALINGS = ("default", "linear", "dynamic", "yarn", "llama3")


@dataclass(frozen=True)
class Rope:
    """Frequencies of the rotation. `options` are those of `scaling`, by their names in config.json.

    linear: position interpolation (Chen et al. 2023); dynamic: NTK-aware, its base grown with the length;
    yarn: Peng et al. 2023, section 3.4; llama3: the smoothed bands of the Llama 3.1 release.
    """

    dim: int
    theta: float = 10_000.0
    scaling: Scaling = "default"
    trained: int = 4096  # positions the unscaled rotation was trained on
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, raw: Mapping[str, Any], dim: int) -> Rope:
        """From config.json, in today's form (`rope_parameters`) or the older one (`rope_scaling`).

        Raises UnknownName for a scaling we do not have.
        """
        options = dict(raw.get("rope_parameters") or raw.get("rope_scaling") or {})
        kind = options.get("rope_type") or options.get("type") or "default"
        if kind not in _SCALINGS:
            raise UnknownName("rope scaling", str(kind), _SCALINGS)
        share = options.get("partial_rotary_factor", raw.get("partial_rotary_factor", 1.0))
        if share != 1.0:
            raise UnknownName("rope option", f"partial_rotary_factor: {share}", ("1.0",))
        theta = options.get("rope_theta", raw.get("rope_theta", 10_000.0))
        trained = options.get("original_max_position_embeddings") or raw.get("max_position_embeddings", 4096)
        return cls(dim, float(theta), cast("Scaling", kind), int(trained), options)

    @property
    def by_length(self) -> bool:
        """Whether the frequencies depend on the length; they are then frozen for each request."""
        return self.scaling == "dynamic"

    def frequencies(self, length: int = 0) -> tuple[Tensor, float]:
        """Radians a position [dim / 2], fp32, and the factor on cos and sin; `length` in tokens."""
        base = self.theta
        if self.scaling == "dynamic" and length > self.trained:
            grown = self._number("factor") * length / self.trained - (self._number("factor") - 1)
            base *= grown ** (self.dim / (self.dim - 2))
        plain = 1.0 / base ** (torch.arange(0, self.dim, 2, dtype=torch.int64).float() / self.dim)
        if self.scaling == "linear":
            return plain / self._number("factor"), 1.0
        if self.scaling == "llama3":
            return self._banded(plain), 1.0
        if self.scaling == "yarn":
            return self._yarn(plain)
        return plain, 1.0

    def _number(self, name: str, default: float | None = None) -> float:
        value = self.options.get(name)
        if value is None:
            value = default
        if value is None:
            raise ValueError(f"rope scaling {self.scaling} needs {name}")
        return float(value)

    def _banded(self, plain: Tensor) -> Tensor:
        """Short waves stay, long ones are stretched, those between are blended by their length."""
        low, high = self._number("low_freq_factor"), self._number("high_freq_factor")
        turns = self.trained * plain / (2 * math.pi)
        blend = ((turns - low) / (high - low)).clamp(0, 1)
        return (1 - blend) * plain / self._number("factor") + blend * plain

    def _yarn(self, plain: Tensor) -> tuple[Tensor, float]:
        factor = self._number("factor")

        def dimension(turns: float) -> float:
            return (self.dim * math.log(self.trained / (turns * 2 * math.pi))) / (2 * math.log(self.theta))

        low, high = dimension(self._number("beta_fast", 32)), dimension(self._number("beta_slow", 1))
        if self.options.get("truncate", True):
            low, high = math.floor(low), math.ceil(high)
        low, high = max(low, 0), min(high, self.dim - 1)
        ramp = (torch.arange(self.dim // 2).float() - low) / max(high - low, 0.001)
        kept = 1 - ramp.clamp(0, 1)
        return (1 - kept) * plain / factor + kept * plain, self._temperature(factor)

    def _temperature(self, factor: float) -> float:
        stated = self.options.get("attention_factor")
        if stated is not None:
            return float(stated)

        def growth(scale: float) -> float:
            return 1.0 if factor <= 1 else 0.1 * scale * math.log(factor) + 1.0

        over, under = self.options.get("mscale"), self.options.get("mscale_all_dim")
        return growth(over) / growth(under) if over and under else growth(1.0)


@dataclass(frozen=True)
class Rotation:
    """Cosines and sines [positions, dim] of every position up to a length, sign folded into the sine."""

    cos: Tensor
    sin: Tensor
    frequencies: Tensor

    @classmethod
    def upto(cls, rope: Rope, positions: int, length: int = 0) -> Rotation:
        """The table for positions 0 .. positions - 1; `length` freezes length-dependent frequencies."""
        frequencies, factor = rope.frequencies(length)
        angles = torch.outer(torch.arange(positions).float(), frequencies)
        cos, sin = angles.cos() * factor, angles.sin() * factor
        return cls(torch.cat((cos, cos), -1), torch.cat((-sin, sin), -1), frequencies)

    def turn(self, shift: int) -> tuple[Tensor, Tensor]:
        """Cos and sin [dim] that turn a rotated query `shift` places back, without the scaling's factor."""
        angles = -shift * self.frequencies
        cos, sin = angles.cos(), angles.sin()
        return torch.cat((cos, cos)), torch.cat((-sin, sin))

    def at(self, positions: Tensor, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
        """Cos and sin [T, 1, dim] of these positions, ready for `rotate`."""
        return self.cos[positions].unsqueeze(1).to(dtype), self.sin[positions].unsqueeze(1).to(dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn x [T, heads, dim] by its positions; halves of dim are the pairs, as in Hugging Face's layout."""
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)
