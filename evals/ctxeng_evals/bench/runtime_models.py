"""Random decoders and filled caches for the runtime's benchmark: speed needs no trained weights."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ctxeng.kv.pool import Budget
from ctxeng.kv.sequence import Pools, Sequence, Shape
from ctxeng.runtime.build import build, names
from ctxeng.runtime.config import ModelConfig, parse_config
from ctxeng.runtime.decoder import Decoder
from ctxeng_kernels.pack import Codec

TINY: Mapping[str, Any] = {
    "model_type": "llama",
    "vocab_size": 1000,
    "hidden_size": 64,
    "num_hidden_layers": 16,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "intermediate_size": 128,
    "max_position_embeddings": 32768,
}
WIDE: Mapping[str, Any] = {  # the geometry of the peers' page: 32 query heads, 8 KV heads, d 128
    **TINY,
    "hidden_size": 1024,
    "num_hidden_layers": 2,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 2816,
}
HALF: Mapping[str, Any] = {  # a 0.5B model of the Qwen2 family
    "model_type": "qwen2",
    "vocab_size": 151_936,
    "hidden_size": 896,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "intermediate_size": 4864,
    "max_position_embeddings": 32768,
    "tie_word_embeddings": True,
}


@dataclass(frozen=True)
class Weights:
    """Random weights by name; the same seed gives the same."""

    config: ModelConfig
    tensors: Mapping[str, Tensor]

    @classmethod
    def random(cls, raw: Mapping[str, Any], seed: int) -> Weights:
        """Small normal matrices, norms of one."""
        config = parse_config(raw)
        generator = torch.Generator().manual_seed(seed)
        found = {
            name: torch.randn(shape, generator=generator) * 0.02 if len(shape) > 1 else torch.ones(shape)
            for name, shape in names(config).items()
        }
        return cls(config, found)

    def decoder(self) -> Decoder:
        """Ours."""
        return build(self.config, self.tensors.__getitem__)

    def peer(self, raw: Mapping[str, Any]) -> Any:
        """The same weights in transformers. Raises ImportError without it."""
        from transformers import AutoConfig, AutoModelForCausalLM  # noqa: PLC0415 - seconds

        config = AutoConfig.for_model(**raw)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
        model = model.to_empty(device="cpu").eval()
        model.load_state_dict(dict(self.tensors), strict=False)
        model.tie_weights()
        model.model.rotary_emb = type(model.model.rotary_emb)(config)  # buffers are no weights: made anew
        return model


def filled(config: ModelConfig, codec: Codec, tokens: int, room: int, seed: int) -> Sequence:
    """A cache that holds so many random tokens, and room for more."""
    shape = Shape(config.layers, config.kv_heads, config.head_dim)
    per_token = config.kv_bytes(1) * 2
    sequence = Sequence(Pools(shape, Budget(per_token * (tokens + room + 256))), codec)
    sequence.reserve(tokens + room)
    tail = sequence.tail
    assert tail is not None
    generator = torch.Generator().manual_seed(seed)
    while tail.length < tokens:
        count = next(tail.strides(tokens - tail.length))[1]
        for layer in range(config.layers):
            size = (count, config.kv_heads, config.head_dim)
            k, v = (torch.randn(size, generator=generator) for _ in range(2))
            tail.write(layer, tail.length, k, v)
            tail.settle(layer, tail.length + count)
        tail.length += count
    return sequence


def rounds(variants: Mapping[str, Callable[[], None]], count: int) -> dict[str, tuple[float, float]]:
    """Seconds of each call, (minimum, median), taken in turns so that a noisy neighbour hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for call in variants.values():
        call()
    for _ in range(count):
        for name, call in variants.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: (min(found), statistics.median(found)) for name, found in times.items()}
