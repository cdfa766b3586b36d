"""Decoding over long caches beside what transformers offers: quantised caches, and grouped attention."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from ctxeng_evals.bench.runtime import step
from ctxeng_evals.bench.runtime_models import WIDE, Weights, rounds
from ctxeng_evals.bench.table import Figures, Row
from ctxeng_kernels.library import backend
from ctxeng_kernels.pack import CODECS

LENGTHS = (4096, 16384)
PACKED = {  # a backend of QuantizedCache, the package it needs, bits
    "quanto int4": ("quanto", "optimum.quanto", 4),
    "hqq int8": ("hqq", "hqq", 8),
    "hqq int4": ("hqq", "hqq", 4),
}


def run(seed: int = 0) -> Figures:
    """One thread; ours and theirs in turns, weights and all. Peers that are not installed are left out."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            rows = [row for length in LENGTHS for row in _decode(length, seed)]
    finally:
        torch.set_num_threads(threads)
    absent = [name for name, (_, module, _) in PACKED.items() if not _there(module)]
    notes = (
        "a token, weights included, minimum over rounds in turns, one thread; 2 layers of 32/8 heads, d 128",
        f"our encoded caches: {backend()}; not installed here: {', '.join(absent) or 'none'}",
        "quantised caches hold up to 128 tokens in full beside the packed ones",
    )
    return Figures("runtime_peers", tuple(rows), notes, seed)


def _there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _decode(length: int, seed: int) -> list[Row]:
    weights = Weights.random(WIDE, seed)
    decoder = weights.decoder()
    variants: dict[str, Callable[[], None]] = {
        f"ours, {codec}": step(decoder, codec, length, seed) for codec in CODECS
    }
    variants["DynamicCache"] = _peer(weights, length, seed, _dynamic)
    variants["DynamicCache, grouped attention"] = _peer(weights, length, seed, _dynamic, grouped=True)
    for name, (kind, module, bits) in PACKED.items():
        if _there(module):
            variants[f"QuantizedCache {name}"] = _peer(weights, length, seed, _packed(kind, bits))
    found = rounds(variants, 5)
    slowest = found["DynamicCache"][0]
    rows = []
    for name, (least, _) in found.items():
        rows.append(Row(f"{length} tokens: {name}", 1e3 * least, "ms"))
        rows.append(Row(f"{length} tokens: {name}, against DynamicCache", slowest / least, "x"))
    return rows


def _dynamic(config: Any) -> Any:
    from transformers import DynamicCache  # noqa: PLC0415 - seconds

    return DynamicCache(config=config)


def _packed(kind: str, bits: int) -> Callable[[Any], Any]:
    def make(config: Any) -> Any:
        from transformers import QuantizedCache  # noqa: PLC0415 - seconds

        return QuantizedCache(backend=kind, config=config, nbits=bits, axis_key=0, axis_value=0)

    return make


def _peer(
    weights: Weights, length: int, seed: int, cache_of: Callable[[Any], Any], *, grouped: bool = False
) -> Callable[[], None]:
    """One token over a cache that holds random keys and values; it grows by one each time."""
    model = weights.peer(dict(WIDE))
    if grouped:
        model.set_attn_implementation(_grouped())
    config = weights.config
    generator = torch.Generator().manual_seed(seed)
    cache = cache_of(model.config)
    size = (1, config.kv_heads, length, config.head_dim)
    for layer in range(config.layers):
        cache.update(torch.randn(size, generator=generator), torch.randn(size, generator=generator), layer)
    ids = torch.tensor([[7]])

    def call() -> None:
        model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)

    return call


def _grouped() -> str:
    """Attention that reads each KV head once for all of its query heads, as torch's public call can."""
    from transformers import AttentionInterface  # noqa: PLC0415 - seconds

    def attend(_: Any, query: Any, key: Any, value: Any, mask: Any, **options: Any) -> tuple[Any, None]:
        del mask  # one token sees all
        scaling = options.get("scaling")
        rows = query.view(1, key.shape[1], -1, query.shape[-1])
        out = functional.scaled_dot_product_attention(rows, key, value, scale=scaling)
        return out.view(1, query.shape[1], 1, -1).transpose(1, 2), None

    AttentionInterface.register("ctxeng_bench_grouped", attend)
    return "ctxeng_bench_grouped"
