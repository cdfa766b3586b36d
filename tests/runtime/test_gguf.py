"""GGUF files written by the gguf package: the same model as its decoded weights, or a refusal by name."""

import struct
import subprocess
import sys
import time

import gguf
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.errors import BadInput
from ctxeng.runtime.build import build, names
from ctxeng.runtime.config import parse_config
from ctxeng.runtime.gguf_blocks import DECODERS
from ctxeng.runtime.gguf_file import gguf_name, open_gguf
from ctxeng.runtime.rope import Rope
from ctxeng.runtime.weights import load
from gguf_files import KINDS, facts_of, random_weights, raw, saved, write
from tiny_model import logits

TOKENS = torch.randint(0, 131, (40,), generator=torch.Generator().manual_seed(1)).tolist()
LLAMA3 = {"factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "rope_type": "llama3"}
MODELS = {
    "llama": ("llama", {}),
    "llama-biases-tied": ("llama", {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    "llama-one-kv-head": ("llama", {"num_key_value_heads": 1, "head_dim": 32}),
    "mistral-window": ("llama", {"model_type": "mistral", "sliding_window": 16}),
    "qwen2": ("qwen2", {"tie_word_embeddings": True}),
    "qwen3": ("qwen3", {"head_dim": 32}),
}


def error(found, want):
    return float((found - want).norm() / want.norm())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", [KINDS.F32, KINDS.Q8_0])
def test_a_gguf_file_is_the_model_of_its_decoded_weights(tmp_path, name, kind):
    arch, changes = MODELS[name]
    config = parse_config(raw(arch, **changes))
    decoded = write(tmp_path / "m.gguf", arch, config, random_weights(config), kind)
    found = load(tmp_path / "m.gguf")
    want = build(config, decoded.__getitem__)
    assert error(logits(found, TOKENS), logits(want, TOKENS)) <= 1e-6
    assert found.config.windows == config.windows
    assert found.config.tied == config.tied
    assert found.config.stop == (7,)


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q4_0"])
def test_every_plain_type_decodes_to_the_same_model(tmp_path, kind):
    config = parse_config(raw("llama"))
    decoded = write(tmp_path / "m.gguf", "llama", config, random_weights(config), KINDS[kind])
    want = logits(build(config, decoded.__getitem__), TOKENS)
    assert error(logits(load(tmp_path), TOKENS), want) <= 1e-6


@given(st.sampled_from(sorted(DECODERS)), st.integers(1, 5), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_blocks_of_any_bytes_decode_as_the_gguf_package_decodes_them(kind, count, seed):
    numbers, size = gguf.GGML_QUANT_SIZES[KINDS[kind]]
    bytes_ = np.random.default_rng(seed).integers(0, 256, (count, size), np.uint8)
    with np.errstate(all="ignore"):
        want = gguf.quants.dequantize(bytes_.view(np.float32) if kind == "F32" else bytes_, KINDS[kind])
        found = DECODERS[kind](bytes_.reshape(-1)).astype(np.float32)
    assert found.size == count * numbers
    if kind != "F16":  # there the package wants the numbers themselves
        np.testing.assert_array_equal(found, want.reshape(-1))


def test_names_are_those_of_the_format():
    config = parse_config(raw("qwen3", attention_bias=True, mlp_bias=True))
    table = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN3, config.layers)
    for name in names(config):
        assert gguf_name(name) == table.get_name(name, try_suffixes=(".weight", ".bias"))


def scaling(**options):
    def more(writer):
        for key, value in options.items():
            add = writer.add_string if isinstance(value, str) else writer.add_float32
            add(f"llama.rope.scaling.{key}", value)

    return more


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({"type": "linear", "factor": 4.0}, {"rope_type": "linear", "factor": 4.0}),
        (
            {"type": "yarn", "factor": 2.0, "original_context_length": 32, "yarn_beta_fast": 16.0},
            {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 32, "beta_fast": 16.0},
        ),
    ],
)
def test_scalings_of_the_rotation_are_read(tmp_path, options, asked):
    want = parse_config(raw("llama", rope_parameters={"rope_theta": 50000.0, **asked}))
    found = load(saved(tmp_path / "m.gguf", more=scaling(**options))).config.rope
    assert torch.equal(found.frequencies()[0], want.rope.frequencies()[0])
    assert found.frequencies()[1] == want.rope.frequencies()[1]


def test_the_bands_of_llama_3_are_recognised_by_their_table(tmp_path):
    plain = Rope(16, 50000.0).frequencies()[0]
    options = {**LLAMA3, "original_max_position_embeddings": 8192}
    banded = Rope(16, 50000.0, "llama3", 8192, options).frequencies()[0]
    table = (plain / banded).numpy()
    assert table.max() == pytest.approx(32.0)

    path = saved(tmp_path / "m.gguf", more=lambda writer: writer.add_tensor("rope_freqs.weight", table))
    rope = load(path).config.rope
    assert rope.scaling == "llama3"
    torch.testing.assert_close(rope.frequencies()[0], banded)
    table[3] *= 1.5
    path = saved(tmp_path / "n.gguf", more=lambda writer: writer.add_tensor("rope_freqs.weight", table))
    with pytest.raises(BadInput, match="not the scaling of Llama 3"):
        load(path)


def without(key):
    def stated(writer, arch, config):
        facts_of(writer, arch, config)
        for facts in writer.kv_data:
            del facts[key]

    return stated


def replaced(method, *values):
    """The same facts, and one of them otherwise."""

    def stated(writer, arch, config):
        facts_of(writer, arch, config)
        for facts in writer.kv_data:
            before = dict(facts)
            facts.clear()
            getattr(writer, method)(*values)
            facts.update({**before, **facts})

    return stated


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        (without("llama.block_count"), "llama.block_count' is missing"),
        (without("llama.attention.layer_norm_rms_epsilon"), "rms_epsilon' is missing"),
        (replaced("add_expert_count", 8), "mixture of 8 experts"),
        (replaced("add_head_count_kv", [2, 1]), "different counts of heads"),
        (replaced("add_head_count", 0), "m.gguf: "),
        (replaced("add_rope_dimension_count", 8), "only 8 of 16"),
        (replaced("add_value_length", 8), "values of 8 numbers beside keys of 16"),
        (replaced("add_string", "llama.rope.scaling.type", "longrope"), "rope scaling 'longrope'"),
        (replaced("add_uint16", "split.count", 3), "one part of 3.*--merge"),
        (replaced("add_embedding_length", 32), r"has shape \(131, 64\)"),
        (replaced("add_block_count", 3), r"has no blk\.2\."),
    ],
)
def test_files_that_cannot_run_here_are_refused_by_name(tmp_path, stated, said):
    with pytest.raises(BadInput, match=said):
        load(saved(tmp_path / "m.gguf", stated=stated))


def test_scaling_that_would_be_overlooked_is_refused(tmp_path):
    options = {"type": "yarn", "factor": 2.0, "yarn_attn_factor": 0.5}
    with pytest.raises(BadInput, match="yarn_attn_factor: scaling that the decoder does not have"):
        load(saved(tmp_path / "m.gguf", more=scaling(**options)))


def test_a_window_without_word_on_its_layers_is_refused(tmp_path):
    config = parse_config(raw("qwen2"))
    more = {"more": lambda writer: writer.add_sliding_window(16)}
    write(tmp_path / "m.gguf", "qwen2", config, random_weights(config), **more)
    with pytest.raises(BadInput, match="no word on which layers"):
        load(tmp_path)


def test_heads_stated_layer_by_layer_are_taken_where_they_agree(tmp_path):
    path = saved(tmp_path / "m.gguf", stated=replaced("add_head_count_kv", [2, 2]))
    assert open_gguf(path).config.kv_heads == 2


def test_types_that_cannot_be_read_are_named_with_a_way_out(tmp_path):
    coded = np.zeros((2, 144), np.uint8)

    def more(writer):
        writer.add_tensor("odd", coded, raw_dtype=KINDS.Q4_K)

    with pytest.raises(BadInput, match=r"odd is stored as Q4_K.*Q8_0.*llama-quantize"):
        load(saved(tmp_path / "m.gguf", more=more))


def test_an_unknown_architecture_is_named(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "mamba")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(BadInput, match="GGUF architecture 'mamba'; known: llama, qwen2, qwen3"):
        load(tmp_path)


@pytest.mark.parametrize("kept", [0, 3, 20, 300, 5000, -100])
def test_a_file_cut_short_is_named(tmp_path, kept):
    path = saved(tmp_path / "m.gguf")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BadInput, match=r"m\.gguf: not a GGUF file, or cut short"):
        load(path)


@given(st.integers(8, 1500), st.integers(0, 255), st.integers(8, 1500), st.integers(0, 255))
@settings(max_examples=100, deadline=None)
def test_a_damaged_header_is_read_or_refused_but_never_a_surprise(tmp_path_factory, one, byte, other, second):
    path = saved(tmp_path_factory.mktemp("m") / "m.gguf")
    whole = bytearray(path.read_bytes())
    whole[one], whole[other] = byte, second
    path.write_bytes(whole)
    try:
        assert load(path).fingerprint
    except BadInput as said:
        assert "m.gguf" in str(said)  # noqa: PT017 - both ends are right


@pytest.mark.parametrize("kind", [gguf.GGUFValueType.UINT32, gguf.GGUFValueType.STRING])
def test_a_list_that_claims_more_than_the_file_holds_is_named(tmp_path, kind):
    path = saved(tmp_path / "m.gguf", more=lambda writer: writer.add_array("odd.list", [7, 7, 7]))
    whole = path.read_bytes()
    claimed = b"odd.list" + struct.pack("<IIQ", gguf.GGUFValueType.ARRAY, kind, 1 << 60)
    path.write_bytes(whole[: whole.index(b"odd.list")] + claimed + whole[whole.index(b"odd.list") + 24 :])
    with pytest.raises(BadInput, match="not a GGUF file, or cut short"):
        load(path)


def test_the_vocabulary_in_a_file_is_passed_over_quickly(tmp_path):
    def more(writer):
        writer.add_token_types([1] * 150_000)
        writer.add_token_merges([f"a{index} b" for index in range(150_000)])

    path = saved(tmp_path / "m.gguf", more=more)
    began = time.process_time()
    assert open_gguf(path).config.layers == 2
    assert time.process_time() - began < 2  # item by item: ten seconds and more


def test_a_missing_file_and_two_files_in_a_folder_are_named(tmp_path):
    with pytest.raises(BadInput, match=r"gone\.gguf: no such file"):
        load(tmp_path / "gone.gguf")
    saved(tmp_path / "a.gguf")
    saved(tmp_path / "b.gguf")
    with pytest.raises(BadInput, match=r"no config\.json"):
        load(tmp_path)


def test_packed_and_half_precision_weights_come_from_gguf_too(tmp_path):
    saved(tmp_path / "m.gguf")
    dense, packed, half = load(tmp_path), load(tmp_path, pack="int8"), load(tmp_path, "bf16")
    assert packed.layers[0].nbytes < dense.layers[0].nbytes * 0.3
    assert half.layers[0].nbytes == dense.layers[0].nbytes / 2
    assert error(logits(packed, TOKENS), logits(dense, TOKENS)) < 0.05
    assert len({dense.fingerprint, packed.fingerprint, half.fingerprint}) == 3


def test_the_fingerprint_changes_with_the_weights_and_with_the_rotation(tmp_path):
    config = parse_config(raw("llama"))
    write(tmp_path / "a.gguf", "llama", config, random_weights(config))
    write(tmp_path / "b.gguf", "llama", config, random_weights(config, seed=1))
    saved(tmp_path / "c.gguf", more=scaling(type="linear", factor=4.0))
    found = [load(tmp_path / f"{name}.gguf").fingerprint for name in "abca"]
    assert found[0] == found[3]
    assert len(set(found)) == 3


def test_without_the_package_the_pip_line_is_named(tmp_path):
    saved(tmp_path / "m.gguf")
    code = f"""
import sys
sys.modules["gguf"] = None  # as where it is not installed
from ctxeng.errors import MissingExtra
from ctxeng.runtime.weights import load
try:
    load({str(tmp_path)!r})
except MissingExtra as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "gguf is not installed; pip install 'ctxeng-framework[local]'" in ran.stdout, ran.stderr
