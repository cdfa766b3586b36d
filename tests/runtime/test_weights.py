"""Loading: what stays in the file, what is held on the way, what the fingerprint sees, what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from ctxeng.errors import BadInput
from ctxeng.runtime.build import names
from ctxeng.runtime.config import parse_config
from ctxeng.runtime.weights import files, load

RAW = {
    "model_type": "qwen3",
    "vocab_size": 131,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "intermediate_size": 96,
    "max_position_embeddings": 64,
}


def tensors(**changes):
    generator = torch.Generator().manual_seed(0)
    shapes = names(parse_config({**RAW, **changes}))
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def save(folder, held, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**RAW, **changes}))
    save_file(held, folder / "model.safetensors")
    return folder


def shard(folder, held, **changes):
    """The same weights, cut into two files."""
    save(folder, held, **changes)
    (folder / "model.safetensors").unlink()
    listed = sorted(held)
    where = {name: f"{index * 2 // len(listed)}.safetensors" for index, name in enumerate(listed)}
    for file in set(where.values()):
        save_file({name: held[name] for name in listed if where[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    return folder


def mapped(tensor, path):
    """Whether the tensor's memory is that of the file."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, end = (int(edge, 16) for edge in line.split()[0].split("-"))
        if start <= tensor.data_ptr() < end:
            return line.endswith(str(path))
    return False


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the list of mappings is Linux's")
def test_what_needs_neither_cast_nor_fusing_stays_in_the_mapped_file(tmp_path):
    path = save(tmp_path, tensors()) / "model.safetensors"
    decoder = load(tmp_path)
    first = decoder.layers[0]
    assert mapped(decoder.embedding, path)
    assert mapped(first.down.weight, path)
    assert mapped(first.out.weight, path)
    assert not mapped(first.qkv.weight, path)  # three matrices made one
    assert not mapped(load(tmp_path, "bf16").layers[0].down.weight, path)


HELD = """
import sys
from pathlib import Path
import torch
from ctxeng.runtime import weights
torch.set_num_threads(1)

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

def watched(weight, bias):
    global most
    made = pack(weight, bias)
    most = max(most, anonymous())
    return made

pack = weights.PACKS["int8"]
weights.PACKS["int8"] = watched
pack(torch.zeros(64, 64), None)
before = most = anonymous()
decoder = weights.load(sys.argv[1], pack="int8")
print(most - before, sum(layer.nbytes for layer in decoder.layers) + decoder.head.nbytes)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="resident memory is read from Linux")
def test_packing_never_holds_more_than_the_packed_weights_and_one_layer(tmp_path):
    shape = {"hidden_size": 512, "num_hidden_layers": 12, "head_dim": 128, "intermediate_size": 1024}
    held = {name: tensor.half() for name, tensor in tensors(**shape).items()}
    save(tmp_path, held, **shape)
    # what is freed goes back at once, else the allocator's habits are measured
    habits = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    command = [sys.executable, "-c", HELD, tmp_path]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=habits)
    peak, packed = (int(number) for number in ran.stdout.split())
    layer = 4 * sum(t.numel() for name, t in held.items() if ".0." in name)
    dense = 4 * sum(t.numel() for t in held.values())
    assert peak < packed + 2 * layer + (
        8 << 20
    )  # a layer's matrices, apart and fused; what torch takes itself
    assert peak < dense * 0.75


def test_the_fingerprint_is_that_of_the_weights_however_the_files_are_cut(tmp_path):
    held = tensors()
    assert load(save(tmp_path / "a", held)).fingerprint == load(shard(tmp_path / "b", held)).fingerprint


@given(st.sampled_from(sorted(tensors())))
@settings(max_examples=15, deadline=None)
def test_the_fingerprint_sees_a_change_of_any_tensor(tmp_path_factory, name):
    tmp_path, held = tmp_path_factory.mktemp("m"), tensors()
    before = load(save(tmp_path, held)).fingerprint
    held[name] *= 1.001
    assert load(save(tmp_path, held)).fingerprint != before


def test_the_fingerprint_sees_the_configuration_and_the_type_of_the_numbers(tmp_path):
    held = {name: torch.ones_like(tensor) * 0.5 for name, tensor in tensors().items()}
    found = {load(save(tmp_path, held)).fingerprint, load(save(tmp_path, held, rope_theta=1e6)).fingerprint}
    for dtype in (torch.float16, torch.bfloat16):
        same = {name: tensor.half().view(dtype) for name, tensor in held.items()}
        found.add(load(save(tmp_path, same)).fingerprint)
    assert len(found) == 4


def test_numbers_that_mean_nothing_without_scales_are_refused(tmp_path):
    held = tensors()
    odd = "model.layers.1.mlp.down_proj.weight"
    held[odd] = held[odd].to(torch.float8_e4m3fn)
    with pytest.raises(BadInput, match=r"down_proj\.weight is stored as torch\.float8_.*pack them here"):
        load(save(tmp_path, held))


@pytest.mark.parametrize(
    "listed",
    ["{", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"x": 3}}', '{"weight_map": {"x": ["a"]}}'],
)
def test_an_index_that_is_none_is_named(tmp_path, listed):
    (tmp_path / "model.safetensors.index.json").write_text(listed)
    with pytest.raises(BadInput, match=r"index\.json: not an index of shards"):
        files(tmp_path)


@pytest.mark.parametrize("name", ["../out.safetensors", "sub/in.safetensors", "/etc/hostname", "..", ""])
def test_a_shard_elsewhere_is_refused_even_where_it_exists(tmp_path, name):
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "in.safetensors").touch()
    (tmp_path / "out.safetensors").touch()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": name}}))
    with pytest.raises(BadInput, match="is not in the folder"):
        files(folder)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 64, (1 << 40).to_bytes(8, "little") + b"{}"])
def test_a_file_of_something_else_is_named(tmp_path, content):
    save(tmp_path, tensors())
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(BadInput, match=r"model\.safetensors: not a safetensors file"):
        load(tmp_path)


def test_a_linked_shard_as_hub_caches_keep_them_is_read(tmp_path):
    save(tmp_path / "model", tensors())
    (tmp_path / "model" / "model.safetensors").rename(tmp_path / "blob")
    (tmp_path / "model" / "model.safetensors").symlink_to(tmp_path / "blob")
    assert load(tmp_path / "model").fingerprint
