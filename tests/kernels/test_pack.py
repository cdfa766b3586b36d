"""Codes of blocks: half a step of error at most, sizes as stated, nothing changed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng_kernels import pack
from ctxeng_kernels.pack import BLOCK, CODECS, block_bytes, decode, encode, fields

DIMS = (32, 64, 80, 96, 128)


def blocks(d, seed=0, count=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, count, BLOCK, d, generator=generator).unbind()


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("d", DIMS)
def test_the_arrays_are_those_stated(codec, d):
    found = encode(codec, *blocks(d))
    stated = fields(codec, d, d, torch.float32)
    assert [(tuple(a.shape[1:]), a.dtype) for a in found] == [(f.shape, f.dtype) for f in stated]
    assert sum(a[0].nbytes for a in found) == block_bytes(codec, d, d, torch.float32)


@pytest.mark.parametrize("d", DIMS)
def test_int8_is_within_half_a_step_of_its_scale(d):
    k, v = blocks(d)
    arrays = encode("int8", k, v)
    keys, values = decode("int8", arrays, torch.float32)
    assert ((keys - k).abs() <= arrays[1].float().unsqueeze(1) * 0.51).all()
    assert ((values - v).abs() <= arrays[3].float().unsqueeze(2) * 0.51).all()


@pytest.mark.parametrize("d", DIMS)
def test_int4_is_within_half_a_step_and_the_rounding_of_its_middle(d):
    k, v = blocks(d)
    arrays = encode("int4", k, v)
    keys, values = decode("int4", arrays, torch.float32)
    assert ((keys - k).abs() <= arrays[1].float().unsqueeze(1) * 0.52 + 2e-3).all()
    scale = arrays[4].float().repeat_interleave(32, -1)[..., :d]
    assert ((values - v).abs() <= scale * 0.52 + 2e-3).all()


@pytest.mark.parametrize(("codec", "share"), [("int8", 0.27), ("int4", 0.17)])
def test_codes_take_the_bytes_they_promise(codec, share):
    dense = block_bytes("dense", 128, 128, torch.float32)
    assert block_bytes(codec, 128, 128, torch.float32) / dense < share


@given(st.sampled_from(["int8", "int4"]), st.sampled_from([0.0, 1e-30, 1e-8, 1.0, 1e4]), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_codes_of_any_size_of_number_are_finite(codec, size, seed):
    k, v = blocks(32, seed, 1)
    keys, values = decode(codec, encode(codec, k * size, v * size), torch.float32)
    assert keys.isfinite().all()
    assert values.isfinite().all()
    assert (keys - k * size).abs().max() <= size * (0.05 if codec == "int8" else 0.5) + 1e-2


@pytest.mark.parametrize("codec", ["int8", "int4"])
def test_coding_again_what_codes_stand_for_changes_next_to_nothing(codec):
    once = decode(codec, encode(codec, *blocks(64)), torch.float32)
    again = decode(codec, encode(codec, *once), torch.float32)
    assert all((a - b).abs().max() < 0.02 for a, b in zip(once, again, strict=True))


def test_an_unknown_codec_and_odd_channels_are_named():
    with pytest.raises(ValueError, match="unknown codec 'zip'; known: dense, int8, int4"):
        fields("zip", 64, 64, torch.float32)
    with pytest.raises(ValueError, match="33 and 64 must be even"):
        fields("int4", 33, 64, torch.float32)


@pytest.mark.parametrize("codec", ["int8", "int4"])
@given(st.integers(0, 3), st.integers(1, 16), st.integers(1, 16), st.floats(-30, 6), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_compiled_codes_are_the_references_to_the_bit(codec, count, k_dim, v_dim, size, seed):
    generator = torch.Generator().manual_seed(seed)
    k, v = (torch.randn(count, 64, 16 * d, generator=generator) * 10**size for d in (k_dim, v_dim))
    if count:
        k[0, :, 3], v[0, 5], k[-1, 7, 0] = 0, 0, torch.inf
    before = k.clone(), v.clone()
    found = encode(codec, k, v)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pack, "library", lambda: None)
        want = encode(codec, k, v)
    assert all(torch.equal(a, b) for a, b in zip(found, want, strict=True))
    assert torch.equal(k, before[0])
    assert torch.equal(v, before[1])


@pytest.mark.parametrize("codec", ["int8", "int4"])
def test_what_is_no_number_stays_none(codec):
    k, v = torch.randn(2, 1, 64, 64)
    k[0, 9, 5] = v[0, 20, 3] = torch.nan
    keys, values = decode(codec, encode(codec, k, v), torch.float32)
    assert keys[0, 9, 5].isnan()
    assert values[0, 20, 3].isnan()
    assert keys[..., 6:].isfinite().all()
    assert values[:, :20].isfinite().all()
