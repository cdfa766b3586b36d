"""The sizes the instrument comes in, and the curriculum each is trained by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ctxeng.runtime.build import names
from ctxeng.runtime.config import ModelConfig, parse_config
from ctxeng_evals.instrument.vocabulary import SIZE


@dataclass(frozen=True)
class Rung:
    """A size: layers, width, and the length it is trained to, in tokens."""

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    context: int
    lr: float

    @property
    def raw(self) -> dict[str, Any]:
        """Its config.json: a Qwen3 shape, for its normed queries and keys learn recall soonest."""
        return {
            "model_type": "qwen3",
            "architectures": ["Qwen3ForCausalLM"],
            "vocab_size": SIZE,
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "intermediate_size": self.ffn,
            "max_position_embeddings": self.context,
            "rope_theta": 10_000.0,
            "rms_norm_eps": 1e-6,
            "tie_word_embeddings": True,
            "attention_bias": False,
            "hidden_act": "silu",
            "bos_token_id": 1,
            "eos_token_id": 2,
            "torch_dtype": "float32",
        }

    @property
    def config(self) -> ModelConfig:
        """The same, parsed."""
        return parse_config(self.raw)

    def fresh(self, seed: int) -> dict[str, Tensor]:
        """Untrained weights by name: norms one, matrices of variance 1 / inputs, outputs a tenth of it."""
        generator = torch.Generator().manual_seed(seed)
        found = {}
        for name, shape in names(self.config).items():
            if len(shape) == 1:
                found[name] = torch.ones(shape)
                continue
            size = 0.02 if "embed" in name else 1 / math.sqrt(shape[1])
            size *= 0.1 if name.endswith(("o_proj.weight", "down_proj.weight")) else 1.0
            found[name] = torch.randn(shape, generator=generator) * size
        return found


RUNGS = {
    "s": Rung("recall-s", 4, 128, 4, 2, 32, 384, 2048, 4e-3),
    "m": Rung("recall-m", 8, 256, 8, 2, 32, 768, 8192, 3e-3),
}
