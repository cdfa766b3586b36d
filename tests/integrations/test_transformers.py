"""Our caches under transformers models: the same as our own loop, and as transformers' own caches."""

import pytest
import torch
import transformers

from ctxeng.errors import BadInput
from ctxeng.runtime.build import build
from ctxeng.runtime.config import parse_config
from ctxeng.runtime.engine import Engine
from ctxeng.runtime.job import Generate
from ctxeng.runtime.plan import CachePlan
from ctxeng_integrations.transformers import CtxengCache, attach

SHAPE = {
    "vocab_size": 131,
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "max_position_embeddings": 512,
}
FAMILIES = {
    "llama": (transformers.LlamaConfig, {}),
    "qwen2": (
        transformers.Qwen2Config,
        {"use_sliding_window": True, "sliding_window": 40, "max_window_layers": 1},
    ),
    "qwen3": (transformers.Qwen3Config, {"head_dim": 32}),
    "mistral": (transformers.MistralConfig, {"sliding_window": 30}),
    "gemma": (transformers.GemmaConfig, {"head_dim": 16}),
    "olmo2": (transformers.Olmo2Config, {}),
}


def made(name):
    kind, extra = FAMILIES[name]
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(kind(**SHAPE, **extra)).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0, 0.2)
    return model


def tokens(count, seed=1):
    return torch.randint(0, 131, (1, count), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", FAMILIES)
@torch.inference_mode()
def test_logits_are_those_of_transformers_own_cache(name):
    model = made(name)
    want = model(tokens(200)).logits
    attach(model)
    cache = CtxengCache(model)
    parts = [model(part, past_key_values=cache).logits for part in tokens(200).split((120, 1, 1, 78), 1)]
    found = torch.cat(parts, 1)
    assert float((found - want).norm() / want.norm()) <= 1e-5
    assert cache.get_seq_length() == 200


@pytest.mark.parametrize("name", ["llama", "qwen2", "qwen3", "mistral"])
@pytest.mark.parametrize("codec", ["dense", "int8"])
@torch.inference_mode()
def test_generation_is_that_of_our_own_loop(name, codec):
    model = made(name)
    decoder = build(parse_config(model.config.to_dict()), model.state_dict().__getitem__)
    with Engine(decoder, memory=1 << 24) as engine:
        want, _ = engine.submit(tokens(100)[0].tolist(), Generate(20), CachePlan(codec)).result()
    attach(model)
    cache = CtxengCache(model, CachePlan(codec))
    found = model.generate(
        tokens(100), max_new_tokens=20, do_sample=False, past_key_values=cache, eos_token_id=None
    )
    assert found[0, 100:].tolist() == want


@torch.inference_mode()
def test_encoded_caches_are_really_smaller():
    model = made("llama")
    attach(model)
    sizes = {}
    for codec in ("dense", "int8", "int4"):
        cache = CtxengCache(model, CachePlan(codec))
        model(tokens(448), past_key_values=cache)
        sizes[codec] = cache.nbytes
        cache.reset()
        assert cache.pools.in_use == 0
    assert sizes["int8"] < 0.5 * sizes["dense"]
    assert sizes["int4"] < sizes["int8"]


@torch.inference_mode()
def test_batches_of_one_length_work_and_padding_is_refused():
    model = made("llama")
    batch = torch.cat((tokens(50), tokens(50, 2)))
    want = model(batch).logits
    attach(model)
    found = model(batch, past_key_values=CtxengCache(model)).logits
    assert float((found - want).norm() / want.norm()) <= 1e-5
    mask = torch.ones_like(batch)
    mask[0, :3] = 0
    with pytest.raises(BadInput, match="padded batches"):
        model(batch, attention_mask=mask, past_key_values=CtxengCache(model))


@torch.inference_mode()
def test_a_crop_forgets():
    model = made("llama")
    want = model(torch.cat((tokens(80)[:, :70], tokens(5, 3)), 1)).logits[:, -5:]
    attach(model)
    cache = CtxengCache(model)
    model(tokens(80), past_key_values=cache)
    cache.crop(-10)
    found = model(tokens(5, 3), past_key_values=cache).logits
    assert float((found - want).norm() / want.norm()) <= 1e-5


@torch.inference_mode()
def test_an_attached_model_without_our_cache_says_what_it_needs():
    model = made("llama")
    attach(model)
    with pytest.raises(BadInput, match="past_key_values=CtxengCache"):
        model(tokens(5))
    model.set_attn_implementation("sdpa")
    model(tokens(5))


@torch.inference_mode()
def test_attention_with_a_scale_of_its_own_is_refused_by_name():
    torch.manual_seed(0)
    config = transformers.GraniteConfig(**SHAPE, attention_multiplier=0.5)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    attach(model)
    with pytest.raises(BadInput, match=r"scale 0\.5"):
        model(tokens(5), past_key_values=CtxengCache(model))


def test_models_without_plain_attention_are_refused_by_name():
    config = transformers.Qwen3NextConfig(
        **{**SHAPE, "num_hidden_layers": 4}, num_experts=2, num_experts_per_tok=1, moe_intermediate_size=32
    )

    class Model:
        pass

    model = Model()
    model.config = config
    with pytest.raises(BadInput, match="linear_attention"):
        attach(model)
