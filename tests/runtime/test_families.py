"""Every family and option: logits equal to transformers' on random weights, with a cache and without."""

import json

import pytest
import torch
import transformers

from ctxeng.errors import BadInput, UnknownName
from ctxeng.kv.pool import Budget
from ctxeng.kv.sequence import Pools, Sequence, Shape
from ctxeng.runtime.attention import CachedAttention, Span
from ctxeng.runtime.build import build
from ctxeng.runtime.config import parse_config, read_config
from ctxeng.runtime.rope import Rotation
from ctxeng.runtime.weights import load
from tiny_model import logits

SHAPE = {
    "vocab_size": 131,
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "max_position_embeddings": 64,
}


def scaled(kind, **options):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10000.0, **options}}


LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
YARN = {"factor": 2.0, "original_max_position_embeddings": 32}
CASES = {
    "llama": ("LlamaConfig", {}),
    "llama-heads": ("LlamaConfig", {"num_key_value_heads": 4, "head_dim": 24}),
    "llama-one-kv-head": ("LlamaConfig", {"num_key_value_heads": 1}),
    "llama-biases-tied": (
        "LlamaConfig",
        {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
    ),
    "rope-linear": ("LlamaConfig", scaled("linear", factor=4.0)),
    "rope-dynamic": ("LlamaConfig", scaled("dynamic", factor=4.0)),
    "rope-llama3": ("LlamaConfig", scaled("llama3", **LLAMA3, original_max_position_embeddings=32)),
    "rope-yarn": ("LlamaConfig", scaled("yarn", **YARN)),
    "rope-yarn-betas": ("LlamaConfig", scaled("yarn", **YARN, beta_fast=16.0, beta_slow=2.0, truncate=False)),
    "rope-yarn-factor": ("LlamaConfig", scaled("yarn", **YARN, attention_factor=0.7)),
    "rope-yarn-mscale": ("LlamaConfig", scaled("yarn", **YARN, mscale=0.7, mscale_all_dim=0.9)),
    "qwen2": ("Qwen2Config", {}),
    "qwen2-window": (
        "Qwen2Config",
        {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1},
    ),
    "qwen3": ("Qwen3Config", {"head_dim": 32}),
    "qwen3-biases": ("Qwen3Config", {"head_dim": 32, "attention_bias": True}),
    "mistral": ("MistralConfig", {"sliding_window": None}),
    "mistral-window": ("MistralConfig", {"sliding_window": 16, "head_dim": 32}),
}
TOKENS = torch.randint(0, 131, (80,), generator=torch.Generator().manual_seed(1))


def peer(name):
    kind, extra = CASES[name]
    config = getattr(transformers, kind)(**{**SHAPE, **extra})
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0, 0.3)
        else:
            parameter.data.add_(torch.randn_like(parameter) * 0.2)
    return model


def error(found, want):
    return float((found.float() - want.float()).norm() / want.float().norm())


@pytest.mark.filterwarnings("ignore")  # transformers comments on yarn factors that are meant so here
@pytest.mark.parametrize("name", CASES)
@torch.inference_mode()
def test_logits_are_those_of_transformers(name):
    model = peer(name)
    want = model(TOKENS[None]).logits[0]
    config = parse_config(model.config.to_dict())
    decoder = build(config, model.state_dict().__getitem__)
    if not config.rope.by_length:  # there the truth's table would be made for another length
        assert error(logits(decoder, TOKENS.tolist()), want) <= 1e-5
    shape = Shape(config.layers, config.kv_heads, config.head_dim)
    rotation, sequence = Rotation.upto(config.rope, 80, 80), Sequence(Pools(shape, Budget(1 << 22)))
    sequence.reserve(80)
    parts = []
    for start, count in ((0, 37), (37, 1), (38, 1), (39, 41)):
        span = Span(sequence, 0, count, rotation)
        hidden = decoder.hidden(TOKENS[start : start + count], CachedAttention(config, [span]))
        CachedAttention.commit(span, count)
        parts.append(decoder.logits(hidden))
    assert error(torch.cat(parts), want) <= 1e-5
    assert config.parameters == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", ["llama-biases-tied", "qwen2", "qwen3", "mistral-window"])
@pytest.mark.parametrize("shards", ["5GB", "60KB"])
@torch.inference_mode()
def test_saved_weights_load_from_one_file_and_from_shards(tmp_path, name, shards):
    model = peer(name)
    model.save_pretrained(tmp_path, max_shard_size=shards)
    assert (tmp_path / "model.safetensors.index.json").exists() == (shards == "60KB")
    decoder = load(tmp_path)
    assert error(logits(decoder, TOKENS.tolist()), model(TOKENS[None]).logits[0]) <= 1e-5
    assert decoder.fingerprint == load(tmp_path).fingerprint


@pytest.mark.parametrize(("dtype", "most"), [("bf16", 0.05), ("fp16", 0.01)])
@torch.inference_mode()
def test_half_precision_stays_near_transformers_in_the_same_precision(tmp_path, dtype, most):
    model = peer("qwen3")
    model.save_pretrained(tmp_path)
    wanted = {"bf16": torch.bfloat16, "fp16": torch.float16}[dtype]
    want = model.to(wanted)(TOKENS[None]).logits[0]
    assert error(logits(load(tmp_path, dtype), TOKENS.tolist()), want) <= most


@pytest.mark.parametrize(("pack", "share"), [("int8", 0.3), ("int4", 0.4)])
@torch.inference_mode()
def test_packed_weights_are_smaller_and_run(tmp_path, pack, share):
    model = peer("llama")
    model.save_pretrained(tmp_path)
    dense, packed = load(tmp_path), load(tmp_path, pack=pack)
    assert logits(packed, TOKENS.tolist()).isfinite().all()
    assert packed.layers[0].nbytes < dense.layers[0].nbytes * share
    assert packed.fingerprint != dense.fingerprint


def test_the_fingerprint_changes_with_the_weights(tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        torch.manual_seed(seed)
        transformers.AutoModelForCausalLM.from_config(transformers.LlamaConfig(**SHAPE)).save_pretrained(
            tmp_path / name
        )
    assert load(tmp_path / "a").fingerprint != load(tmp_path / "b").fingerprint


def raw(**changes):
    return {"model_type": "llama", **SHAPE, **changes}


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"model_type": "mamba"}, UnknownName, "unknown model family 'mamba'; known: llama, mistral"),
        ({"layer_types": ["linear_attention"] * 3}, BadInput, "linear_attention .* ctxeng_integrations"),
        ({"num_key_value_heads": 3}, BadInput, "4 query heads cannot share 3 KV heads"),
        ({"hidden_size": None}, BadInput, "hidden_size must be a whole number"),
        ({"hidden_act": "gelu"}, BadInput, "gelu"),
        ({"rope_scaling": {"rope_type": "longrope"}}, UnknownName, "rope scaling 'longrope'"),
        ({"partial_rotary_factor": 0.5}, UnknownName, "partial_rotary_factor"),
    ],
)
def test_models_that_cannot_run_here_are_refused_by_name(changes, error, said):
    with pytest.raises(error, match=said):
        parse_config(raw(**changes))


def save(folder, tensors=None):
    model = peer("llama")
    model.save_pretrained(folder)
    return folder


def test_folders_that_are_no_model_say_what_is_missing(tmp_path):
    with pytest.raises(BadInput, match=r"no config\.json"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(BadInput, match="not JSON"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(BadInput, match="object is needed"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(BadInput, match="'num_attention_heads' is missing"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(raw()))
    with pytest.raises(BadInput, match=r"no model\.safetensors"):
        load(tmp_path)


def test_weights_that_are_cut_short_or_of_another_shape_are_named(tmp_path):
    path = save(tmp_path) / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1000])
    with pytest.raises(BadInput, match="cut short"):
        load(tmp_path)
    path.write_bytes(whole)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "intermediate_size": 128}))
    with pytest.raises(BadInput, match=r"gate_proj.weight has shape \(96, 64\).* asks for \(128, 64\)"):
        load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 4}))
    with pytest.raises(BadInput, match=r"have no model\.layers\.3"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_hidden_layers", 1 << 32),
        ("vocab_size", 1 << 40),
        ("head_dim", -8),
        ("num_key_value_heads", "2"),
        ("max_position_embeddings", 1.5),
    ],
)
def test_sizes_that_no_model_has_are_refused_before_anything_is_made_of_them(name, value):
    with pytest.raises(BadInput, match=f"{name} must be a whole number"):
        parse_config(raw(**{name: value}))


def test_shards_that_are_missing_or_elsewhere_are_named(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(raw()))
    index = tmp_path / "model.safetensors.index.json"
    for shard in ("gone.safetensors", "../outside.safetensors"):
        index.write_text(json.dumps({"weight_map": {"x": shard}}))
        with pytest.raises(BadInput, match="is not in the folder"):
            load(tmp_path)
    index.write_text("[]")
    with pytest.raises(BadInput, match="not an index"):
        load(tmp_path)


@pytest.mark.parametrize(("name", "value"), [("dtype", "int3"), ("pack", "int3")])
def test_unknown_types_are_named_with_those_known(tmp_path, name, value):
    save(tmp_path)
    with pytest.raises(UnknownName, match="int3"):
        load(tmp_path, **{name: value})
