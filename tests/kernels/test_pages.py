"""Pages and clusters that matter: the compiled choice is the reference's."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng_kernels import pages
from ctxeng_kernels.pages import best_pages, centroid_shares, page_bounds


def both_ways(call):
    """What the backend of this machine says, and what the reference does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "library", lambda: None)
        want = call()
    return call(), want


@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 40), st.integers(1, 9), st.data())
@settings(max_examples=60, deadline=None)
def test_the_best_pages_are_the_references(heads, group, count, width, data):
    wanted = data.draw(st.integers(0, count))
    torch.manual_seed(data.draw(st.integers(0, 2**31)))
    k = torch.randn(heads, count * 64, 8 * width)
    q, bounds = torch.randn(heads, group, 8 * width), page_bounds(k)
    found, want = both_ways(lambda: best_pages(q, bounds, wanted))
    assert torch.equal(found, want)
    assert torch.equal(found, found.sort(-1).values)


@pytest.mark.skipif(pages.library() is None, reason="torch's products round equal columns unlike")
def test_of_equal_pages_the_earlier_are_chosen():
    k = torch.randn(2, 64, 40).repeat(1, 9, 1)
    assert best_pages(torch.randn(2, 4, 40), page_bounds(k), 5).tolist() == [[0, 1, 2, 3, 4]] * 2


def test_a_bound_is_never_below_a_row_of_its_page():
    torch.manual_seed(0)
    k, q = torch.randn(2, 640, 32), torch.randn(2, 4, 32)
    bounds = page_bounds(k)
    upper = q.clamp(min=0) @ bounds[:, :, 1].transpose(1, 2) + q.clamp(max=0) @ bounds[:, :, 0].transpose(
        1, 2
    )
    rows = (q @ k.transpose(1, 2)).unflatten(2, (-1, 64)).amax(-1)
    assert bool((upper >= rows - 1e-4).all())


@given(st.integers(1, 3), st.integers(1, 6), st.integers(1, 50), st.integers(1, 9), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_shares_are_those_of_the_softmax_over_all_keys(heads, group, clusters, width, seed):
    torch.manual_seed(seed)
    q, centroids = torch.randn(heads, group, 8 * width), torch.randn(heads, clusters, 8 * width)
    sizes = torch.randint(0, 9, (heads, clusters)).float()
    looked = torch.rand(heads, clusters) < 0.7
    found, want = both_ways(lambda: centroid_shares(q, centroids, sizes, looked))
    assert torch.allclose(found, want, atol=1e-6, rtol=1e-4)
    assert not found[~looked | (sizes == 0)].any()
    one = q[:, :1]
    total = (centroid_shares(one, centroids, sizes, looked) * sizes).sum(1)
    assert all(math.isclose(x, 1, rel_tol=1e-4) or x == 0 for x in total.tolist())


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"queries \(2, 4, 32\) do not fit \(2, 9, 2, 16\)"):
        best_pages(torch.zeros(2, 4, 32), torch.zeros(2, 9, 2, 16), 3)
    with pytest.raises(ValueError, match="10 pages cannot be chosen of 9"):
        best_pages(torch.zeros(2, 4, 16), torch.zeros(2, 9, 2, 16), 10)
    looked = torch.ones(2, 9, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"queries \(1, 4, 16\) do not fit \(2, 9, 16\)"):
        centroid_shares(torch.zeros(1, 4, 16), torch.zeros(2, 9, 16), torch.ones(2, 9), looked)
