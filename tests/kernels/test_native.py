"""The compiled kernels: exact to what 16 bit leaves, whatever the shape; absent, the reference serves."""

import math
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blocks import random, scattered, stored
from blocks import segment as blocks_segment
from ctxeng_kernels import library, native
from ctxeng_kernels.attend import attend
from ctxeng_kernels.layout import by_rows
from ctxeng_kernels.pack import decode
from ctxeng_kernels.segment import Span, Table

needs_kernels = pytest.mark.skipif(
    not library.backend().startswith("avx2"), reason=f"no compiled kernels here: {library.backend()}"
)


@contextmanager
def library_of(backend):
    """Attention by that backend, whatever was chosen."""
    with pytest.MonkeyPatch.context() as patch:
        if backend == "torch":
            patch.setattr(native, "library", lambda: None)
        yield


def segment_in(segment, dtype):
    """The segment with dense rows in another precision; codes stay."""
    if segment.codec != "dense":
        return segment
    return replace(segment, arrays=tuple(a.to(dtype) for a in segment.arrays))


def truth(q, segment, scale):
    """Attention over the decoded blocks in double precision: o [Hkv, R, d], lse [Hkv, R]."""
    where = segment.where
    blocks = by_rows(segment.codec, tuple(array[where.ids] for array in segment.arrays), segment.layout)
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
    return blocks_segment(codec, k, v, Table(ids, fill))


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
        o, lse = native.attend(q, segment, 1 / math.sqrt(k_dim))
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
    together = native.attend(q, segment, 0.125)
    for row in range(rows):
        alone = native.attend(q[:, row : row + 1], segment, 0.125)
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
    one = native.attend(grouped, segment, 0.125)
    two = native.attend(grouped, scattered(segment, 2), 0.125)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    o, _ = attend(q, [segment], 2)
    assert torch.equal(o.reshape(2, -1, 64), one[0])


@needs_kernels
@pytest.mark.parametrize("codec", ["int8", "int4"])
def test_what_lies_in_dead_rows_means_nothing_and_nothing_is_changed(codec):
    generator = torch.Generator().manual_seed(3)
    segment = made(codec, 2, 2, 64, 64, "gaussian", generator)
    fill = torch.tensor([[64, 10], [0, 1]])
    segment = replace(segment, where=Table(segment.where.ids, fill))
    q = torch.randn(2, 3, 64, generator=generator)
    before = [array.clone() for array in segment.arrays]
    want = native.attend(q, segment, 0.125)
    assert all(torch.equal(a, b) for a, b in zip(before, segment.arrays, strict=True))
    scales = segment.arrays[3 if codec == "int8" else 4]
    scales[segment.where.ids[0, 1], 10:] = torch.nan
    scales[segment.where.ids[1, 0]] = torch.inf
    found = native.attend(q, segment, 0.125)
    assert all(torch.equal(a, b) for a, b in zip(want, found, strict=True))
    nothing = replace(segment, where=Table(segment.where.ids, torch.zeros(2, 2, dtype=torch.long)))
    o, lse = native.attend(q, nothing, 0.125)
    assert not o.any()
    assert torch.equal(lse, torch.full((2, 3), -math.inf))


@needs_kernels
def test_shapes_that_are_not_for_the_kernels_are_left_to_the_reference():
    q, k, v = random(4, 2, 1, 100, d=72)
    segment = stored(k, v, "int8")
    assert native.attend(q.reshape(2, -1, 72), segment, 0.1) is None
    o, _ = attend(q, [segment], 2)
    assert o.isfinite().all()


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


EVERY = [("dense", {}), ("int8", {}), ("int4", {}), ("int4", {"fast": True})]
NAMES = ["dense", "int8", "int4", "int4 fast"]


@needs_kernels
@pytest.mark.parametrize("kind", ["gaussian", "outliers", "heavy"])
def test_fast_int4_stays_within_three_percent(kind):
    generator, found = torch.Generator().manual_seed(2), []
    for _ in range(170):
        heads, rows, blocks = (int(torch.randint(1, n, (), generator=generator)) for n in (4, 11, 6))
        k_dim, v_dim = (16 * int(torch.randint(1, 17, (), generator=generator)) for _ in "kv")
        segment = replace(made("int4", heads, blocks, k_dim, v_dim, kind, generator), fast=True)
        q = torch.randn(heads, rows, k_dim, generator=generator)
        o, _ = native.attend(q, segment, 1 / math.sqrt(k_dim))
        found.append(errors(o, truth(q, segment, 1 / math.sqrt(k_dim))[0]))
    assert float(torch.cat(found).median()) <= 3e-2


@needs_kernels
@pytest.mark.parametrize(("codec", "how"), EVERY, ids=NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("d", [16, 32, 64, 80, 96, 128, 256])
def test_every_width_and_type(codec, how, dtype, d):
    q, k, v = random(4, 2, 3, 550, d=d)
    segment = replace(stored(k, v, codec), **how)
    if codec == "dense":
        segment = replace(segment, arrays=tuple(a.to(dtype) for a in segment.arrays))
    with library_of("torch"):
        want, log = attend(q.to(dtype).float(), [segment_in(segment, torch.float32)], 2)
    o, lse = attend(q.to(dtype), [segment], 2)
    rounding = {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 3e-3}[dtype]
    added = {"dense": 0.0, "int8": 1e-3, "int4": 3e-2 if how else 1e-3}[codec]
    assert o.dtype == dtype
    assert float((o.float() - want).norm() / want.norm()) <= rounding + added
    assert torch.allclose(lse, log, atol=3e-2 if how or dtype != torch.float32 else 2e-3)


@needs_kernels
@pytest.mark.parametrize(("codec", "how"), EVERY, ids=NAMES)
@pytest.mark.parametrize("window", [None, 70])
@pytest.mark.parametrize("spread", [False, True])
def test_order_and_windows_are_those_of_the_reference(codec, how, window, spread):
    q, k, v = random(4, 2, 9, 600, d=64)
    segment = replace(stored(k, v, codec, spare=1), causal=True, positions=5, **how)
    segment = scattered(segment, 2) if spread else segment
    o, lse = attend(q, [segment], 2, at=596, window=window)
    with library_of("torch"):
        want, log = attend(q, [segment_in(segment, torch.float32)], 2, at=596, window=window)
    assert float((o - want).norm() / want.norm()) <= (3e-2 if how else 1e-3)
    assert torch.allclose(lse, log, atol=3e-2 if how else 2e-3)


@needs_kernels
@pytest.mark.parametrize(("codec", "how"), EVERY, ids=NAMES)
def test_threads_do_not_change_a_bit(codec, how, monkeypatch):
    q, k, v = random(8, 2, 3, 5000, d=64)
    segment = replace(stored(k, v, codec), **how)
    found = []
    for count in ("1", "2", "5"):
        monkeypatch.setenv("CTXENG_KERNELS_THREADS", count)
        found.append(attend(q, [segment], 2))
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True))


@needs_kernels
@pytest.mark.parametrize(("codec", "how"), EVERY, ids=NAMES)
@pytest.mark.parametrize("odd", [torch.nan, torch.inf])
def test_what_is_no_number_comes_out_as_none(codec, how, odd):
    q, k, v = random(4, 2, 2, 530, d=64)
    q[1, 0, 5] = odd
    o, lse = attend(q, [replace(stored(k, v, codec), **how)], 2)
    assert o[1, 0].isnan().all()
    assert lse[1, 0].isnan()
    assert o[[0, 2, 3]].isfinite().all()
    q[1, 0, 5] = 0
    if odd == torch.inf and codec != "dense":
        return  # codes hold it as the largest number they can say
    for spoiled in (k, v):
        kept = spoiled[0, 100].clone()
        spoiled[0, 100, 3] = odd
        o, _ = attend(q, [replace(stored(k, v, codec), **how)], 2)
        assert not o[:2].isfinite().all()
        assert o[2:].isfinite().all()
        spoiled[0, 100] = kept


@needs_kernels
@pytest.mark.parametrize(("codec", "how"), EVERY, ids=NAMES)
@pytest.mark.parametrize("size", [0.0, 1e-40, 1e-20, 1e4])
def test_small_and_large_numbers(codec, how, size):
    q, k, v = random(4, 2, 2, 530, d=64)
    segment = replace(stored(k / max(1.0, size), v * size, codec), **how)
    o, lse = attend(q * size, [segment], 2)
    with library_of("torch"):
        want, log = attend(q * size, [segment_in(segment, torch.float32)], 2)
    assert torch.allclose(o, want, rtol=1e-2, atol=0.05 * float(want.abs().max()))
    assert torch.allclose(lse, log, atol=3e-2)


@needs_kernels
def test_many_threads_may_call_at_once(monkeypatch):
    monkeypatch.setenv("CTXENG_KERNELS_THREADS", "2")
    q, k, v = random(8, 2, 1, 3000, d=64)
    segment = stored(k, v, "int8")
    want, _ = attend(q, [segment], 2)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: attend(q, [segment], 2)[0], range(60)))
    assert all(torch.equal(o, want) for o in found)


@needs_kernels
@pytest.mark.parametrize("where", [Table(torch.tensor([[9], [0]]), torch.ones(2, 1).long()), Span(2, 1, 128)])
def test_blocks_that_are_not_held_are_refused(where):
    segment = replace(stored(*random(4, 2, 1, 100, d=64)[1:], "int8"), where=where)
    with pytest.raises(IndexError, match="beyond the 4 that are held"):
        native.attend(torch.randn(2, 2, 64), replace(segment, where=where), 0.1)
