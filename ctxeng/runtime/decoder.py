"""The forward pass: tokens in, hidden states out; attention is whatever the caller hands in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from ctxeng.runtime.config import ModelConfig
from ctxeng.runtime.layers import Layer, Linear, Norm


class Attention(Protocol):
    """How the tokens of one pass see each other and what came before."""

    def __call__(self, layer: int, qk: Tensor, v: Tensor) -> Tensor:
        """Queries then keys [T, heads + kv_heads, d], to be rotated; v [T, kv_heads, d] -> [T, heads * d]."""
        ...


@dataclass(frozen=True)
class Decoder:
    """A decoder of the Llama, Qwen2, Qwen3 or Mistral family. Holds weights and no state.

    The tokens of several sequences may stand behind one another: only attention tells them apart.
    """

    config: ModelConfig
    embedding: Tensor
    layers: tuple[Layer, ...]
    norm: Norm
    head: Linear
    fingerprint: str = ""  # tells two models apart; whoever loads the weights fills it in

    def hidden(self, ids: Tensor, attention: Attention) -> Tensor:
        """Token ids [T] -> normed hidden states [T, hidden]."""
        shape = self.config
        turned, all_heads = shape.heads + shape.kv_heads, shape.heads + 2 * shape.kv_heads
        x = functional.embedding(ids, self.embedding)
        for index, layer in enumerate(self.layers):
            heads = layer.qkv(layer.before(x)).view(len(ids), all_heads, shape.head_dim)
            qk, v = heads[:, :turned], heads[:, turned:]
            if layer.q_norm is not None and layer.k_norm is not None:
                q, k = qk[:, : shape.heads], qk[:, shape.heads :]
                qk = torch.cat((layer.q_norm(q), layer.k_norm(k)), 1)
            x = x + layer.out(attention(index, qk, v))
            x = x + layer.mlp(layer.between(x))
        return self.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """Hidden states [T, hidden] -> logits [T, vocab]."""
        return self.head(hidden)

    @property
    def nbytes(self) -> int:
        """Bytes of all weights; a tied head is counted once."""
        head = 0 if self.config.tied else self.head.nbytes
        return int(self.embedding.nbytes) + head + sum(layer.nbytes for layer in self.layers)
