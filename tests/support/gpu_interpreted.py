"""The Triton twins in the interpreter: kernels/test_gpu.py runs these tests in a process of its own.

Triton looks at TRITON_INTERPRET when it is first imported, which others may have done long before.
"""

import math

import pytest
import torch

from blocks import random
from ctxeng_kernels import native
from ctxeng_kernels.attend import attend as attend_here
from ctxeng_kernels.gpu.attend import attend
from ctxeng_kernels.gpu.pack import encode
from ctxeng_kernels.gpu.pages import best_pages
from ctxeng_kernels.gpu.score import columns
from ctxeng_kernels.pack import encode as encode_here
from ctxeng_kernels.pages import best_pages as best_here
from ctxeng_kernels.pages import page_bounds
from ctxeng_kernels.score import column_sums
from ctxeng_kernels.segment import Segment, Span, Table

pytestmark = pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")


@pytest.fixture(autouse=True)
def _reference(monkeypatch):
    monkeypatch.setattr(native, "library", lambda: None)


def plain(k, v, codec, where):
    return Segment(codec, encode_here(codec, k, v), where)


@pytest.mark.parametrize("codec", ["int8", "int4"])
@pytest.mark.parametrize(("k_dim", "v_dim"), [(64, 64), (80, 32), (128, 128), (96, 256)])
def test_attention_is_the_references(codec, k_dim, v_dim):
    torch.manual_seed(0)
    k, v = torch.randn(22, 64, k_dim) * 3, torch.randn(22, 64, v_dim)
    k[..., 2] *= 30
    q = torch.randn(4, 5, k_dim)
    ids, fill = torch.randperm(22).view(2, 11), torch.randint(0, 65, (2, 11))
    for where in (Span(1, 10, 600), Table(ids, fill)):
        segment = plain(k, v, codec, where)
        o, lse = attend(q.reshape(2, -1, k_dim), segment, 1 / math.sqrt(k_dim))
        want, log = attend_here(q, [segment], 2)
        assert torch.allclose(o.view_as(want), want, atol=1e-4)
        assert torch.allclose(lse.view_as(log), log, atol=1e-3)


@pytest.mark.parametrize("codec", ["int8", "int4"])
def test_order_is_kept_and_nothing_seen_is_nothing(codec):
    q, k, v = random(4, 2, 9, 200, d=64)
    segment = Segment(codec, Segment.of(k, v).arrays, Span(0, 4, 200), causal=True)
    segment = Segment(codec, encode_here(codec, *segment.arrays), segment.where, causal=True)
    o, lse = attend(q.reshape(2, -1, 64), segment, 0.125, segment.sight(2, 9))
    want, log = attend_here(q, [segment], 2)
    assert torch.allclose(o.view_as(want), want, atol=1e-4)
    sums = columns(q.reshape(2, -1, 64), segment, 0.125, lse, segment.sight(2, 9))
    assert torch.allclose(sums[:, :200], column_sums(q, [segment], 2, log), atol=1e-3)
    nowhere = torch.zeros(2, 18, dtype=torch.long)
    o, lse = attend(q.reshape(2, -1, 64), segment, 0.125, (nowhere, nowhere))
    assert not o.any()
    assert bool((lse == -math.inf).all())


@pytest.mark.parametrize("codec", ["int8", "int4"])
@pytest.mark.parametrize(("k_dim", "v_dim"), [(64, 64), (80, 40), (130, 256)])
def test_codes_are_the_references_to_the_bit(codec, k_dim, v_dim):
    torch.manual_seed(1)
    k, v = torch.randn(3, 64, k_dim) * 5, torch.randn(3, 64, v_dim)
    k[0], v[1, 7] = 0, 0
    for found, want in zip(encode(codec, k, v), encode_here(codec, k, v), strict=True):
        assert found.dtype == want.dtype
        assert torch.equal(found, want)


def test_the_best_pages_are_the_references():
    torch.manual_seed(2)
    q, bounds = torch.randn(2, 5, 80), page_bounds(torch.randn(2, 64 * 70, 80))
    assert torch.equal(best_pages(q, bounds, 9), best_here(q, bounds, 9))


def test_what_does_not_fit_is_named():
    k = torch.randn(2, 64, 64)
    with pytest.raises(ValueError, match="of dense ones torch's own call is best"):
        attend(torch.zeros(1, 1, 64), plain(k, k, "dense", Span(0, 1, 9)), 1.0)
    with pytest.raises(ValueError, match=r"queries \(1, 1, 32\) do not fit keys of 64 and values of 64"):
        attend(torch.zeros(1, 1, 32), plain(k, k, "int8", Span(0, 1, 9)), 1.0)
    with pytest.raises(ValueError, match=r"queries \(1, 1, 8\) do not fit \(1, 4, 2, 16\)"):
        best_pages(torch.zeros(1, 1, 8), torch.zeros(1, 4, 2, 16), 1)
