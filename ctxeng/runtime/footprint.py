"""What a model will take before it is loaded: weights, key-value cache, and the working memory of a chunk."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import torch

from ctxeng.errors import UnknownName
from ctxeng.runtime.build import names
from ctxeng.runtime.config import ModelConfig
from ctxeng.runtime.weights import PACKS, choose_dtype
from ctxeng_kernels.pack import BLOCK, Codec, block_bytes


@dataclass(frozen=True)
class Footprint:
    """Bytes. `peak` is what a process should have free: weights, a cache of the context, a chunk's work.

    The interpreter and torch itself, some 300 MB, come on top.
    """

    parameters: int
    weights: int
    kv: int
    work: int

    @property
    def peak(self) -> int:
        """All of it together."""
        return self.weights + self.kv + self.work


def footprint(
    config: ModelConfig,
    context: int,
    *,
    dtype: str = "auto",
    weights: str = "none",
    codec: Codec = "dense",
    chunk: int = 512,
) -> Footprint:
    """By arithmetic, from the shape alone. `context` and `chunk` are tokens. Raises UnknownName."""
    kind = choose_dtype(dtype)
    width = int(kind.itemsize)
    rows = min(chunk, context)
    wide = config.heads * config.head_dim
    widest = max(2 * config.ffn + config.ffn, (config.heads + 2 * config.kv_heads) * config.head_dim + wide)
    work = rows * (3 * config.hidden + widest) * width + config.vocab * 4
    held = cache_bytes(config, context, codec, kind)
    return Footprint(config.parameters, _weights(config, kind, weights), held, work)


def cache_bytes(config: ModelConfig, tokens: int, codec: Codec, kind: torch.dtype = torch.float32) -> int:
    """Bytes of the blocks that so many tokens take, the open block of an encoded cache included."""
    per_head = ceil(tokens / BLOCK) * block_bytes(codec, config.head_dim, config.head_dim, kind)
    if codec != "dense":
        per_head += block_bytes("dense", config.head_dim, config.head_dim, kind)
    return config.layers * config.kv_heads * per_head


def _weights(config: ModelConfig, kind: torch.dtype, pack: str) -> int:
    if pack not in PACKS:
        raise UnknownName("weight packing", pack, list(PACKS))
    total = 0
    for name, shape in names(config).items():
        tensor = torch.empty(shape, dtype=kind, device="meta")  # a shape without numbers
        packed = len(shape) > 1 and "embed_tokens" not in name
        total += PACKS[pack](tensor, None).nbytes if packed else int(tensor.nbytes)
    return total
