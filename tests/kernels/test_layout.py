"""Layouts of codes: there and back, for every codec and width, and what does not fit is refused."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ctxeng_kernels.layout import best_layout, by_rows, laid_out
from ctxeng_kernels.pack import encode


@given(st.sampled_from(["dense", "int8", "int4"]), st.integers(1, 16), st.integers(1, 16), st.integers(0, 3))
def test_the_way_there_and_back_changes_nothing(codec, k_dim, v_dim, blocks):
    arrays = encode(codec, torch.randn(blocks, 64, 16 * k_dim), torch.randn(blocks, 64, 16 * v_dim))
    fours = laid_out(codec, arrays, "fours")
    for plain, other, back in zip(arrays, fours, by_rows(codec, fours, "fours"), strict=True):
        assert (other.shape, other.dtype) == (plain.shape, plain.dtype)
        assert torch.equal(back, plain)
    assert laid_out(codec, arrays, "rows") is arrays
    assert by_rows(codec, arrays, "rows") is arrays


def test_what_is_summed_first_lies_side_by_side():
    k, scale, v, steps = encode("int8", torch.randn(1, 64, 32), torch.randn(1, 64, 48))
    keys, _, values, _ = laid_out("int8", (k, scale, v, steps), "fours")
    assert torch.equal(keys.view(8, 64, 4)[3, 10], k[0, 10, 12:16])
    assert torch.equal(values.view(16, 48, 4)[2, 5], v[0, 8:12, 5])


def test_blocks_with_leading_axes():
    arrays = tuple(a.unflatten(0, (2, 3)) for a in encode("int4", *torch.randn(2, 6, 64, 64)))
    back = by_rows("int4", laid_out("int4", arrays, "fours"), "fours")
    assert all(torch.equal(a, b) for a, b in zip(arrays, back, strict=True))


def test_odd_widths_lie_by_rows_and_are_refused_in_fours():
    assert (
        best_layout("int8", 24, 32) == best_layout("dense", 32, 32) == best_layout("int4", 512, 32) == "rows"
    )
    with pytest.raises(ValueError, match=r"\(1, 64, 6\) and \(1, 64, 8\) cannot lie in fours"):
        laid_out("int8", encode("int8", torch.randn(1, 64, 6), torch.randn(1, 64, 8)), "fours")
