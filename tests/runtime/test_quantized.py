"""Packed matrices: near the dense ones, as small as they say, for any shape."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.runtime.layers import Dense
from ctxeng.runtime.quantized import GROUP, TILE, pack_int4, pack_int8

PACKS = {"int8": (pack_int8, 0.012, 0.27), "int4": (pack_int4, 0.13, 0.17)}


def matrix(rows, columns, seed=0):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("count", [1, 65])
@pytest.mark.parametrize("shape", [(300, 256), (2500, 512), (64, 100), (10, 130)])
def test_a_packed_matrix_maps_nearly_like_the_dense_one(pack, count, shape):
    make, most, _ = PACKS[pack]
    weight, bias, x = matrix(*shape), matrix(1, shape[0], 1)[0], matrix(count, shape[1], 2)
    want, found = Dense(weight, bias)(x), make(weight, bias)(x)
    assert float((found - want).norm() / want.norm()) <= most


@pytest.mark.parametrize("pack", PACKS)
def test_a_packed_matrix_takes_the_bytes_it_promises(pack):
    make, _, share = PACKS[pack]
    assert make(matrix(512, 1024)).nbytes < matrix(512, 1024).nbytes * share


@given(st.integers(1, 40), st.integers(1, 300), st.sampled_from([0.0, 1e-20, 1.0, 1e4, 1e7]))
@settings(max_examples=30, deadline=None)
def test_any_shape_and_size_of_number_stays_finite(rows, columns, size):
    weight = matrix(rows, columns) * size
    for make, _, _ in PACKS.values():
        found = make(weight)(matrix(2, columns, 1))
        assert found.shape == (2, rows)
        assert found.isfinite().all()


@given(st.integers(1, 40), st.integers(1, 300), st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_no_weight_is_further_off_than_half_a_step(rows, columns, seed):
    weight = matrix(rows, columns, seed)
    eight = weight.abs().amax(1) / 127
    padded = torch.nn.functional.pad(weight, (0, -columns % GROUP)).unflatten(1, (-1, GROUP))
    four = ((padded.amax(-1) - padded.amin(-1)) / 15).repeat_interleave(GROUP, 1)[:, :columns]
    identity = torch.eye(columns)
    assert ((pack_int8(weight)(identity).T - weight).abs() <= eight.unsqueeze(1) * 0.501).all()
    # a scale and a middle in half precision are off by a thousandth themselves
    assert ((pack_int4(weight)(identity).T - weight).abs() <= four * 0.52 + 2e-3).all()


@pytest.mark.parametrize("pack", PACKS)
def test_one_token_gets_what_it_gets_among_others(pack):
    packed, x = PACKS[pack][0](matrix(2500, 512), matrix(1, 2500, 1)[0]), matrix(65, 512, 2)
    torch.testing.assert_close(packed(x[7:8]), packed(x)[7:8], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize(("dtype", "most"), [(torch.bfloat16, 0.01), (torch.float16, 0.002)])
def test_half_precision_inputs_lose_no_more_than_their_own_rounding(pack, dtype, most):
    packed, x = PACKS[pack][0](matrix(300, 512) + 2), matrix(3, 512, 2).to(dtype)
    found, want = packed(x), packed(x.float())
    assert found.dtype == dtype
    assert float((found.float() - want).norm() / want.norm()) <= most


@pytest.mark.parametrize("pack", PACKS)
def test_a_row_longer_than_a_tile_is_a_tile_of_its_own(pack):
    weight, x = matrix(2, TILE + 5), matrix(1, TILE + 5, 1)
    want = x @ weight.T
    assert float((PACKS[pack][0](weight)(x) - want).norm()) <= 0.2 * TILE**0.5
