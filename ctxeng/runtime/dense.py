"""Attention without a cache: one pass over whole sequences, for training and as the truth in tests."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ctxeng.runtime.config import ModelConfig
from ctxeng.runtime.rope import Rotation, rotate


@dataclass(frozen=True)
class WholeSequence:
    """Causal attention over `batch` sequences of one length that stand behind one another.

    `positions` [batch * T] are rotary positions; `mask` [batch or 1, 1, T, T] (True: seen) replaces the
    causal order where it is given.
    """

    config: ModelConfig
    rotation: Rotation
    positions: Tensor
    batch: int = 1
    mask: Tensor | None = None

    def __call__(self, layer: int, qk: Tensor, v: Tensor) -> Tensor:
        """Qk [batch * T, heads + kv_heads, d], v [batch * T, kv_heads, d] -> [batch * T, heads * d]."""
        qk = rotate(qk, *self.rotation.at(self.positions, qk.dtype))
        q, k = qk[:, : self.config.heads], qk[:, self.config.heads :]

        def apart(x: Tensor) -> Tensor:
            return x.view(self.batch, -1, x.shape[-2], x.shape[-1]).transpose(1, 2)

        group = self.config.group
        keys, values = (apart(x).repeat_interleave(group, 1) if group > 1 else apart(x) for x in (k, v))
        mask = self._mask(layer, keys.shape[2])
        o = functional.scaled_dot_product_attention(apart(q), keys, values, mask, is_causal=mask is None)
        return o.transpose(1, 2).reshape(len(q), -1)

    def _mask(self, layer: int, length: int) -> Tensor | None:
        window = self.config.windows[layer]
        if window is None or window >= length:
            return self.mask
        rows = torch.arange(length)
        near = rows.unsqueeze(1) - rows < window
        return near & (self.mask if self.mask is not None else torch.ones_like(near).tril())
