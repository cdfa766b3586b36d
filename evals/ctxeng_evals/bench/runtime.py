"""The local runtime beside transformers: overhead of its loop, decoding over long caches, weights and all."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ctxeng.runtime.attention import CachedAttention, Span
from ctxeng.runtime.decoder import Decoder
from ctxeng.runtime.rope import Rotation
from ctxeng_evals.bench.runtime_models import TINY, WIDE, Weights, filled, rounds
from ctxeng_evals.bench.table import Figures, Row
from ctxeng_kernels.library import backend
from ctxeng_kernels.pack import CODECS, Codec

LENGTHS = (4096, 16384)


def run(seed: int = 0) -> Figures:
    """One thread; all variants in turns, in this process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            rows = [*_overhead(seed), *(row for length in LENGTHS for row in _decode(length, seed))]
    finally:
        torch.set_num_threads(threads)
    notes = (
        "minimum over rounds taken in turns, one thread; ratios above 1: ours is faster",
        f"read roof of one thread in this run: {roof():.1f} GB/s",
        f"encoded caches are attended by: {backend()}",
    )
    return Figures("runtime", tuple(rows), notes, seed)


def roof() -> float:
    """GB/s that one thread reads: a sum over 256 MB, the best of five."""
    data = torch.ones(64 << 20)

    def read() -> None:
        data.sum()

    return float(data.nbytes / rounds({"sum": read}, 5)["sum"][0] / 1e9)


def step(decoder: Decoder, codec: Codec, tokens: int, seed: int) -> Callable[[], None]:
    """Decode one token over a filled cache, again and again at the same place."""
    sequence = filled(decoder.config, codec, tokens, 64, seed)
    rotation = Rotation.upto(decoder.config.rope, tokens + 64)
    ids = torch.tensor([7])

    def call() -> None:
        span = Span(sequence, 0, 1, rotation)
        decoder.logits(decoder.hidden(ids, CachedAttention(decoder.config, [span])))

    return call


def peer_step(weights: Weights, raw: dict[str, object], tokens: int, seed: int) -> Callable[[], None]:
    """The same in transformers, with its DynamicCache."""
    from transformers import DynamicCache  # noqa: PLC0415 - seconds

    model = weights.peer(raw)
    config = weights.config
    generator = torch.Generator().manual_seed(seed)
    cache = DynamicCache(config=model.config)
    size = (1, config.kv_heads, tokens, config.head_dim)
    for layer in range(config.layers):
        cache.update(torch.randn(size, generator=generator), torch.randn(size, generator=generator), layer)
    ids = torch.tensor([[7]])

    def call() -> None:
        model(ids, past_key_values=cache, use_cache=True)
        cache.crop(-1)

    return call


def _overhead(seed: int) -> list[Row]:
    weights = Weights.random(TINY, seed)
    found = rounds(
        {
            "ours": step(weights.decoder(), "dense", 64, seed),
            "transformers": peer_step(weights, dict(TINY), 64, seed),
        },
        60,
    )
    ours, theirs = found["ours"][0], found["transformers"][0]
    return [
        Row("16-layer tiny model: a token, ours", 1e3 * ours, "ms"),
        Row("16-layer tiny model: a token, transformers' forward", 1e3 * theirs, "ms"),
        Row("16-layer tiny model: our share of transformers' time", ours / theirs, "ratio", target="<= 0.5"),
    ]


def _decode(length: int, seed: int) -> list[Row]:
    weights = Weights.random(WIDE, seed)
    decoder = weights.decoder()
    variants: dict[str, Callable[[], None]] = {}
    for codec in CODECS:
        variants[codec] = step(decoder, codec, length, seed)
    variants["transformers"] = peer_step(weights, dict(WIDE), length, seed)
    found = rounds(variants, 8)
    theirs = found["transformers"][0]
    label = f"decode at {length}, 2 layers of 32/8 heads"
    rows = [Row(f"{label}: transformers DynamicCache", 1e3 * theirs, "ms")]
    for codec in CODECS:
        rows.append(Row(f"{label}: ours, {codec}", 1e3 * found[codec][0], "ms"))
        rows.append(Row(f"{label}: ours, {codec}, against transformers", theirs / found[codec][0], "ratio"))
    return rows
