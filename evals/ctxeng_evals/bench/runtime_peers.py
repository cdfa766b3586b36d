"""Decoding over long caches beside transformers (its attentions, its quantised caches)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ctxeng.extras import installed
from ctxeng_evals.bench.runtime import roof, step
from ctxeng_evals.bench.runtime_models import WIDE, Weights, rounds
from ctxeng_evals.bench.table import Figures, Row
from ctxeng_kernels.library import backend
from ctxeng_kernels.pack import CODECS

LENGTHS = (4096, 16384)
ROUNDS = 8
PACKED = {  # a backend of QuantizedCache, the package it needs, its module, bits
    "quanto int4": ("quanto", "optimum-quanto", "optimum.quanto", 4),
    "hqq int8": ("hqq", "hqq", "hqq", 8),
    "hqq int4": ("hqq", "hqq", "hqq", 4),
}
_REPEATED, _ROWS = "ctxeng_bench_repeated", "ctxeng_bench_rows"

Step = Callable[[], None]


def run(seed: int = 0) -> Figures:
    """One thread; ours and theirs in turns, weights and all. Peers that are not installed are left out."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            weights = Weights.random(WIDE, seed)
            rows = [row for length in LENGTHS for row in _decode(weights, length, seed)]
            default = "enable_gqa" if groups_by_default(weights) else "repeated KV heads"
            fastest = roof()
    finally:
        torch.set_num_threads(threads)
    there = {package: _there(module) for _, package, module, _ in PACKED.values()}
    notes = (
        "a token, weights included: the least of rounds taken in turns, one thread",
        "2 layers of 32/8 heads, d 128, fp32 weights; random keys and values",
        f"our encoded caches: {backend()}; read roof of one thread in this run: {fastest:.1f} GB/s",
        f"transformers {version('transformers')}; its default attention here: {default}",
        "transformers' caches grow by a token a step; quantising anew, once in 128, is not in the figure",
        "quanto int8 is no row: transformers takes 2 and 4 bits of it",
        f"beside them: {', '.join(f'{name} {version(name)}' for name, here in there.items() if here) or '-'}",
        f"not installed: {', '.join(f'{name} (pip install it)' for name in there if not there[name]) or '-'}",
    )
    return Figures("runtime_peers", tuple(rows), notes, seed)


def _decode(weights: Weights, length: int, seed: int) -> Iterator[Row]:
    decoder = weights.decoder()
    peer = partial(_peer, weights, length, seed)
    variants: dict[str, Step] = {f"ours, {codec}": step(decoder, codec, length, seed) for codec in CODECS}
    variants["DynamicCache"] = peer(_dynamic)
    variants["DynamicCache, KV heads repeated"] = peer(_dynamic, attention=_REPEATED)
    variants["DynamicCache, query heads as rows"] = peer(_dynamic, attention=_ROWS)
    for name, (kind, _, module, bits) in PACKED.items():
        if _there(module):
            variants[f"QuantizedCache {name}"] = peer(partial(_packed, kind, bits))
    found = rounds(variants, ROUNDS)
    plain = 1e3 * found["DynamicCache"][0]
    for name, (least, _) in found.items():
        baseline = None if name == "DynamicCache" else plain
        yield Row(f"{length} tokens: {name}", 1e3 * least, "ms", baseline, "DynamicCache")


def _there(module: str) -> bool:
    try:
        return installed(module)
    except ModuleNotFoundError:  # the package around it is not there
        return False


def _dynamic(config: Any) -> Any:
    from transformers import DynamicCache  # noqa: PLC0415 - seconds

    return DynamicCache(config=config)


def _packed(kind: str, bits: int, config: Any) -> Any:
    from transformers import QuantizedCache  # noqa: PLC0415 - seconds

    return QuantizedCache(backend=kind, config=config, nbits=bits, axis_key=0, axis_value=0)


def _peer(
    weights: Weights, length: int, seed: int, cache_of: Callable[[Any], Any], attention: str = ""
) -> Step:
    """One token over a cache that holds random keys and values; it grows by one each time."""
    model = weights.peer(dict(WIDE))
    if attention:
        register()
        model.set_attn_implementation(attention)
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


def register() -> None:
    """Two attentions for transformers, for one token that sees all: KV heads repeated, or read once each."""
    from transformers import AttentionInterface  # noqa: PLC0415 - seconds

    AttentionInterface.register(_REPEATED, _repeated)
    AttentionInterface.register(_ROWS, _rows)


def _repeated(_: Any, query: Any, key: Any, value: Any, __: Any, **options: Any) -> tuple[Any, None]:
    times = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(times, 1), value.repeat_interleave(times, 1)
    out = functional.scaled_dot_product_attention(query, key, value, scale=options.get("scaling"))
    return out.transpose(1, 2), None


def _rows(_: Any, query: Any, key: Any, value: Any, __: Any, **options: Any) -> tuple[Any, None]:
    rows = query.view(1, key.shape[1], -1, query.shape[-1])
    out = functional.scaled_dot_product_attention(rows, key, value, scale=options.get("scaling"))
    return out.view(1, query.shape[1], 1, -1).transpose(1, 2), None


class _Watched(TorchFunctionMode):  # type: ignore[misc]
    """Whether attention was asked for with enable_gqa."""

    grouped: bool = False

    def __torch_function__(
        self, func: Any, _: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        if func is functional.scaled_dot_product_attention:
            self.grouped |= bool(options.get("enable_gqa"))
        return func(*args, **options)


def groups_by_default(weights: Weights) -> bool:
    """Whether this transformers, left alone, asks torch to share KV heads among query heads."""
    call = _peer(weights, 64, 0, _dynamic)
    watched = _Watched()
    with watched:
        call()
    return bool(watched.grouped)
