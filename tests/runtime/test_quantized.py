"""Packed matrices: near the dense ones, as small as they say, for any shape."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.runtime.layers import Dense
from ctxeng.runtime.quantized import pack_int4, pack_int8

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


@given(st.integers(1, 40), st.integers(1, 300), st.sampled_from([0.0, 1e-20, 1.0, 1e4]))
@settings(max_examples=30, deadline=None)
def test_any_shape_and_size_of_number_stays_finite(rows, columns, size):
    weight = matrix(rows, columns) * size
    for make, _, _ in PACKS.values():
        found = make(weight)(matrix(2, columns, 1))
        assert found.shape == (2, rows)
        assert found.isfinite().all()
