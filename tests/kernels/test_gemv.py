"""Vectors times packed matrices: the compiled kernels against the tiles made whole, in double precision."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.runtime.quantized import pack_int4, pack_int8
from ctxeng_kernels import library
from ctxeng_kernels.gemv import matmul_int4, matmul_int8

needs_kernels = pytest.mark.skipif(
    not library.backend().startswith("avx2"), reason=f"no compiled kernels here: {library.backend()}"
)
PACKS = {"int8": pack_int8, "int4": pack_int4}


def stands_for(packed):
    """The matrix [out, in] in double precision that the codes stand for."""
    if packed.codes.dim() == 2:
        return packed.codes.double() * packed.scales.double().unsqueeze(1)
    low, high = packed.codes & 15, packed.codes >> 4
    codes = torch.cat((low, high), -1).double() - 7.5
    whole = codes * packed.scales.double().unsqueeze(-1) + packed.middles.double().unsqueeze(-1)
    return whole.flatten(1)[:, : packed.inputs]


@pytest.mark.parametrize("pack", PACKS)
@given(st.integers(1, 9), st.integers(1, 70), st.integers(1, 300), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_the_product_is_that_of_what_the_codes_stand_for(pack, rows, out, inputs, seed):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(out, inputs, generator=generator)
    x = torch.randn(rows, inputs, generator=generator)
    x[:, : inputs // 9] *= 50  # inputs that stand out cost their own group precision only
    packed = PACKS[pack](weight)
    before = x.clone(), packed.codes.clone()
    want = x.double() @ stands_for(packed).T
    found = packed(x)
    size = x.double().norm(dim=1, keepdim=True) * stands_for(packed).norm(dim=1)
    assert float(((found - want).abs() / size).max()) <= 1e-4
    assert torch.equal(x, before[0])
    assert torch.equal(packed.codes, before[1])


@needs_kernels
@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("threads", ["1", "3"])
def test_a_row_depends_on_nothing_beside_it(pack, threads, monkeypatch):
    torch.manual_seed(0)
    packed, x = PACKS[pack](torch.randn(333, 256)), torch.randn(7, 256)
    monkeypatch.setenv("CTXENG_KERNELS_THREADS", "1")
    alone = torch.cat([packed(row) for row in x.split(1)])
    monkeypatch.setenv("CTXENG_KERNELS_THREADS", threads)
    assert torch.equal(packed(x), alone)


@pytest.mark.parametrize("pack", PACKS)
def test_what_is_no_number_spoils_its_own_row_only(pack):
    x = torch.randn(3, 256)
    x[1, 200] = torch.nan
    found = PACKS[pack](torch.randn(20, 256))(x)
    assert found[1].isnan().all()
    assert found[[0, 2]].isfinite().all()


@pytest.mark.parametrize("pack", PACKS)
def test_half_precision_goes_in_and_comes_out(pack):
    packed, x = PACKS[pack](torch.randn(40, 128)), torch.randn(2, 128)
    found = packed(x.bfloat16())
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.float(), packed(x), rtol=0.05, atol=0.3)


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"x \(2, 9\) and scales \(4,\) do not fit codes \(4, 8\)"):
        matmul_int8(torch.zeros(2, 9), torch.zeros(4, 8, dtype=torch.int8), torch.ones(4))
    codes = torch.zeros(4, 2, 64, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"x \(1, 300\).* do not fit codes \(4, 2, 64\)"):
        matmul_int4(torch.zeros(1, 300), codes, torch.ones(4, 2).half(), torch.ones(4, 2).half())


def test_no_rows_give_no_rows():
    assert PACKS["int8"](torch.randn(8, 32))(torch.zeros(0, 32)).shape == (0, 8)
    assert PACKS["int4"](torch.randn(8, 128))(torch.zeros(0, 128)).shape == (0, 8)
