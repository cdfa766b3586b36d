"""A decoder of a few thousand random weights, for tests that need a model and no answers."""

import torch

from ctxeng.runtime.build import build, names
from ctxeng.runtime.config import parse_config
from ctxeng.runtime.dense import WholeSequence
from ctxeng.runtime.rope import Rotation


def tiny(seed=0, **overrides):
    """Seeded random weights in a Qwen3 shape of three layers; `overrides` are entries of its config.json."""
    raw = {
        "model_type": "qwen3",
        "vocab_size": 258,
        "hidden_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "intermediate_size": 96,
        "max_position_embeddings": 1024,
        **overrides,
    }
    config = parse_config(raw)
    generator = torch.Generator().manual_seed(seed)
    weights = {
        name: torch.randn(shape, generator=generator) * 0.1
        if len(shape) > 1
        else torch.rand(shape, generator=generator) + 0.5
        for name, shape in names(config).items()
    }
    return build(config, weights.__getitem__)


def tokens(count, seed=0):
    """So many random tokens."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 250, (count,), generator=generator).tolist()


@torch.inference_mode()
def logits(decoder, ids, positions=None, mask=None):
    """Logits [T, vocab] of one pass without a cache: the truth."""
    rotation = Rotation.upto(decoder.config.rope, 4096)
    where = torch.arange(len(ids)) if positions is None else torch.tensor(positions)
    see = WholeSequence(decoder.config, rotation, where, 1, mask)
    return decoder.logits(decoder.hidden(torch.tensor(ids), see))


def greedy(decoder, ids, count):
    """The most likely continuation, computed anew for every token."""
    ids = list(ids)
    for _ in range(count):
        ids.append(int(logits(decoder, ids)[-1].argmax()))
    return ids[-count:]
