"""What a model will take: by arithmetic, and as much as it then takes."""

import json
import subprocess
import sys

import pytest
import torch

from ctxeng.errors import UnknownName
from ctxeng.kv.pool import Budget
from ctxeng.kv.sequence import Pools, Sequence, Shape
from ctxeng.runtime.config import read_config
from ctxeng.runtime.footprint import cache_bytes, footprint
from ctxeng.runtime.weights import load
from tiny_folder import tiny_folder


@pytest.mark.parametrize("pack", ["none", "int8", "int4"])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("tied", [True, False])
def test_weights_take_what_was_said(tmp_path, pack, dtype, tied):
    folder = tiny_folder(tmp_path / "m", hidden_size=128, tie_word_embeddings=tied)
    if not tied:  # the tiny folder writes a head only where the config asks for one
        assert read_config(folder).tied is False
    said = footprint(read_config(folder), 100, dtype=dtype, weights=pack).weights
    decoder = load(folder, dtype, pack)
    norms = sum(layer.before.weight.nbytes * 2 for layer in decoder.layers)
    assert said == pytest.approx(decoder.nbytes + norms, rel=0.02)


@pytest.mark.parametrize("codec", ["dense", "int8", "int4"])
@pytest.mark.parametrize("count", [1, 64, 1000])
def test_the_cache_takes_what_was_said(tmp_path, codec, count):
    config = read_config(tiny_folder(tmp_path / "m"))
    shape = Shape(config.layers, config.kv_heads, config.head_dim, torch.float32)
    sequence = Sequence(Pools(shape, Budget(1 << 24)), codec)
    sequence.reserve(count)
    assert sequence.nbytes == cache_bytes(config, count, codec)


def test_the_command_shows_every_packing_and_whether_it_fits(tmp_path):
    folder = tiny_folder(tmp_path / "m")
    command = [sys.executable, "-m", "ctxeng.cli.main", "doctor", "--plan", str(folder), "--context", "4096"]
    plain = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "4,096 tokens" in plain
    found = json.loads(
        subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout
    )
    assert len(found["plans"]) == 9
    peaks = {(plan["weights"], plan["codec"]): plan["peak_bytes"] for plan in found["plans"]}
    assert peaks["int4", "int4"] < peaks["int8", "int8"] < peaks["none", "dense"]
    command[-1] = "5000"
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (refused.returncode, "made for 4096 positions" in refused.stderr) == (2, True)


def test_an_unknown_packing_is_named(tmp_path):
    config = read_config(tiny_folder(tmp_path / "m"))
    with pytest.raises(UnknownName, match="int3"):
        footprint(config, 10, weights="int3")
