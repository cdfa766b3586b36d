"""The compiled kernels: exact to what 16 bit leaves, whatever the shape; absent, the reference serves."""

import math
import os
import stat
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blocks import random, scattered, stored
from ctxeng_kernels import library, native
from ctxeng_kernels.attend import attend
from ctxeng_kernels.pack import decode, encode
from ctxeng_kernels.segment import Segment, Table

needs_kernels = pytest.mark.skipif(
    not library.backend().startswith("avx2"), reason=f"no compiled kernels here: {library.backend()}"
)


def truth(q, segment, scale):
    """Attention over the decoded blocks in double precision: o [Hkv, R, d], lse [Hkv, R]."""
    where = segment.where
    blocks = tuple(array[where.ids] for array in segment.arrays)
    k, v = (x.flatten(1, 2) for x in decode(segment.codec, blocks, torch.float64))
    live = (torch.arange(64) < where.fill.unsqueeze(-1)).flatten(1).unsqueeze(1)
    logits = (q.double() @ k.transpose(1, 2) * scale).masked_fill(~live, -math.inf)
    weights = logits.softmax(-1).nan_to_num(0.0)
    return weights @ v.nan_to_num(0.0).masked_fill(~live.transpose(1, 2), 0), logits.logsumexp(-1)


def made(codec, heads, blocks, k_dim, v_dim, kind, generator):
    """Blocks of that distribution, shuffled, each with its own number of live rows."""
    count = heads * blocks
    k, v = (torch.randn(count, 64, d, generator=generator) for d in (k_dim, v_dim))
    if kind == "outliers":
        k[..., :3] *= 10  # as found in Llama's keys (KIVI, section 3.2)
        v[..., ::7] *= 10
    if kind == "heavy":
        k[:, 5] *= 8
    ids = torch.randperm(count, generator=generator).view(heads, blocks)
    fill = torch.randint(0, 65, (heads, blocks), generator=generator)
    return Segment(codec, encode(codec, k, v), Table(ids, fill))


def errors(o, want):
    """Relative L2 of each row that sees something."""
    norms = want.norm(dim=-1)
    return ((o.double() - want).norm(dim=-1) / norms.clamp(min=1e-9))[norms > 0]


@needs_kernels
@pytest.mark.parametrize("codec", ["int8", "int4"])
@pytest.mark.parametrize("kind", ["gaussian", "outliers", "heavy"])
def test_attention_is_that_over_what_the_codes_stand_for(codec, kind):
    generator, found = torch.Generator().manual_seed(1), []
    step = 16 if codec == "int8" else 32
    for _ in range(170):
        heads, rows, blocks = (int(torch.randint(1, n, (), generator=generator)) for n in (4, 11, 6))
        k_dim, v_dim = (step * int(torch.randint(1, 256 // step + 1, (), generator=generator)) for _ in "kv")
        segment = made(codec, heads, blocks, k_dim, v_dim, kind, generator)
        q = torch.randn(heads, rows, k_dim, generator=generator)
        o, lse = native.attend_encoded(q, segment, 1 / math.sqrt(k_dim))
        want, log = truth(q, segment, 1 / math.sqrt(k_dim))
        assert torch.allclose(lse.double(), log, atol=2e-3)
        found.append(errors(o, want))
    every = torch.cat(found)
    assert float(every.median()) <= 5e-4
    assert float(every.max()) <= 1e-3


@needs_kernels
@pytest.mark.parametrize("codec", ["int8", "int4"])
@given(st.integers(1, 9), st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_a_row_does_not_depend_on_the_rows_beside_it(codec, rows, seed):
    generator = torch.Generator().manual_seed(seed)
    segment = made(codec, 2, 3, 64, 64, "gaussian", generator)
    q = torch.randn(2, rows, 64, generator=generator)
    together = native.attend_encoded(q, segment, 0.125)
    for row in range(rows):
        alone = native.attend_encoded(q[:, row : row + 1], segment, 0.125)
        for one, all_of_them in zip(alone, together, strict=True):
            assert torch.equal(one[:, 0], all_of_them[:, row])


@needs_kernels
@pytest.mark.parametrize("codec", ["int8", "int4"])
@pytest.mark.parametrize("tokens", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("queries", [1, 5, 40])
def test_a_span_and_a_table_of_the_same_blocks_give_the_same(codec, tokens, queries):
    q, k, v = random(4, 2, queries, tokens, d=64)
    segment = stored(k, v, codec, spare=1)
    grouped = q.reshape(2, -1, 64)
    one = native.attend_encoded(grouped, segment, 0.125)
    two = native.attend_encoded(grouped, scattered(segment, 2), 0.125)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    o, _ = attend(q, [segment], 2)
    assert torch.equal(o.reshape(2, -1, 64), one[0])


@needs_kernels
@pytest.mark.parametrize("codec", ["int8", "int4"])
def test_what_lies_in_dead_rows_means_nothing_and_nothing_is_changed(codec):
    generator = torch.Generator().manual_seed(3)
    segment = made(codec, 2, 2, 64, 64, "gaussian", generator)
    fill = torch.tensor([[64, 10], [0, 1]])
    segment = Segment(codec, segment.arrays, Table(segment.where.ids, fill))
    q = torch.randn(2, 3, 64, generator=generator)
    before = [array.clone() for array in segment.arrays]
    want = native.attend_encoded(q, segment, 0.125)
    assert all(torch.equal(a, b) for a, b in zip(before, segment.arrays, strict=True))
    scales = segment.arrays[3 if codec == "int8" else 4]
    scales[segment.where.ids[0, 1], 10:] = torch.nan
    scales[segment.where.ids[1, 0]] = torch.inf
    found = native.attend_encoded(q, segment, 0.125)
    assert all(torch.equal(a, b) for a, b in zip(want, found, strict=True))
    nothing = Segment(codec, segment.arrays, Table(segment.where.ids, torch.zeros(2, 2, dtype=torch.long)))
    o, lse = native.attend_encoded(q, nothing, 0.125)
    assert not o.any()
    assert torch.equal(lse, torch.full((2, 3), -math.inf))


@needs_kernels
def test_shapes_that_are_not_for_the_kernels_are_left_to_the_reference():
    q, k, v = random(4, 2, 1, 100, d=72)
    segment = stored(k, v, "int8")
    assert native.attend_encoded(q.reshape(2, -1, 72), segment, 0.1) is None
    o, _ = attend(q, [segment], 2)
    assert o.isfinite().all()
    fine = stored(*random(4, 2, 1, 100, d=64)[1:], "int8")
    assert native.attend_encoded(torch.randn(2, 2, 64, dtype=torch.bfloat16), fine, 0.1) is None


CODE = "from ctxeng_kernels.library import backend, library; print(backend()); print(library() is None)"


def told(tmp_path, **environment):
    """What a fresh process says of its backend."""
    given = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), **environment}
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, env=given, check=False
    )
    return done.stdout + done.stderr.strip().rpartition("\n")[2]


def test_without_a_compiler_the_reference_serves_and_says_why(tmp_path):
    assert "no C++ compiler is here" in told(tmp_path, PATH=str(tmp_path), CXX="")
    assert "Unavailable" in told(tmp_path, PATH=str(tmp_path), CXX="", CTXENG_KERNELS="native")
    assert told(tmp_path, CTXENG_KERNELS="torch") == "torch (CTXENG_KERNELS)\nTrue\n"


def test_a_compiler_that_fails_is_named_with_what_it_said(tmp_path):
    script = tmp_path / "broken"
    script.write_text("#!/bin/sh\necho 'no such flag' >&2\nexit 1\n")
    script.chmod(script.stat().st_mode | stat.S_IEXEC)
    said = told(tmp_path, CXX=str(script))
    assert "no such flag" in said
    assert not list((tmp_path / "ctxeng").glob("*.so"))


@needs_kernels
def test_the_kernels_are_built_once_a_machine(tmp_path):
    assert told(tmp_path) == "avx2\nFalse\n"
    (found,) = (tmp_path / "ctxeng").iterdir()
    before = found.stat().st_mtime_ns
    assert told(tmp_path, PATH=str(tmp_path), CXX="") == "avx2\nFalse\n"
    assert found.stat().st_mtime_ns == before
