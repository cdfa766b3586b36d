"""Attention over segments: equal to plain softmax attention over the same keys, however they are stored."""

import math

import pytest
import torch

from blocks import random, scattered, stored
from ctxeng_kernels import native
from ctxeng_kernels.attend import _plain, attend, merge, softmax_rows
from ctxeng_kernels.segment import Segment, Span, Table

GROUPS = (1, 2, 4, 7)


def plain(q, k, v, kv_heads, temperature=1.0):
    """Softmax attention in double precision, head by head."""
    group = q.shape[0] // kv_heads
    k, v = (x.double().repeat_interleave(group, 0) for x in (k, v))
    logits = q.double() @ k.transpose(1, 2) / (math.sqrt(q.shape[-1]) * temperature)
    return (logits.softmax(-1) @ v), logits.logsumexp(-1)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("queries", [1, 5])
@pytest.mark.parametrize("tokens", [1, 63, 64, 65, 200])
def test_a_segment_is_plain_attention(group, queries, tokens):
    q, k, v = random(2 * group, 2, queries, tokens)
    want, log = plain(q, k, v, 2)
    for segment in (stored(k, v, spare=1), scattered(stored(k, v, spare=1), 2)):
        o, lse = attend(q, [segment], 2)
        assert torch.allclose(o.double(), want, atol=1e-5)
        assert torch.allclose(lse.double(), log, atol=1e-5)


@pytest.mark.parametrize("cut", [1, 64, 100, 199])
def test_segments_merge_to_attention_over_all_of_them(cut):
    q, k, v = random(4, 2, 3, 200)
    parts = [stored(k[:, :cut], v[:, :cut]), stored(k[:, cut:], v[:, cut:])]
    o, lse = attend(q, parts, 2)
    want, log = plain(q, k, v, 2)
    assert torch.allclose(o.double(), want, atol=1e-5)
    assert torch.allclose(lse.double(), log, atol=1e-5)


@pytest.mark.parametrize("codec", ["int8", "int4"])
@pytest.mark.parametrize("make", [lambda s: s, lambda s: scattered(s, 2)], ids=["span", "table"])
def test_encoded_segments_are_attention_over_what_the_codes_stand_for(codec, make, monkeypatch):
    monkeypatch.setattr(native, "library", lambda: None)  # the reference; test_native has the kernels
    q, k, v = random(4, 2, 2, 130, d=64)
    segment = stored(k, v, codec)
    keys, values, live = segment.rows(2, torch.float32)
    assert live is None
    want, _ = plain(q, keys, values, 2)
    o, _ = attend(q, [make(segment)], 2)
    assert torch.allclose(o.double(), want, atol=1e-5)


def test_heads_may_keep_different_numbers_of_rows():
    q, k, v = random(4, 2, 1, 128)
    whole = scattered(stored(k, v), 2)
    ragged = Segment("dense", whole.arrays, Table(whole.where.ids, torch.tensor([[64, 10], [3, 0]])))
    o, _ = attend(q, [ragged], 2)
    for head, kept in enumerate((74, 3)):
        rows = slice(2 * head, 2 * head + 2)
        want, _ = plain(q[rows], k[head : head + 1, :kept], v[head : head + 1, :kept], 1)
        assert torch.allclose(o[rows].double(), want, atol=1e-5)


def test_a_causal_segment_ends_with_the_queries_themselves():
    q, k, v = random(4, 2, 5, 20)
    for segment in (stored(k, v), scattered(stored(k, v), 2)):
        o, _ = attend(q, [Segment("dense", segment.arrays, segment.where, causal=True)], 2)
        for row in range(5):
            want, _ = plain(q[:, row : row + 1], k[:, : 16 + row], v[:, : 16 + row], 2)
            assert torch.allclose(o[:, row : row + 1].double(), want, atol=1e-5)


def test_a_window_hides_what_is_too_far_back():
    q, k, v = random(4, 2, 3, 50)
    segment = stored(k, v)
    o, _ = attend(
        q, [Segment("dense", segment.arrays, segment.where, causal=True, positions=0)], 2, at=47, window=10
    )
    for row in range(3):
        seen = slice(47 + row - 9, 48 + row)
        want, _ = plain(q[:, row : row + 1], k[:, seen], v[:, seen], 2)
        assert torch.allclose(o[:, row : row + 1].double(), want, atol=1e-5)


def test_rows_that_are_not_live_may_hold_anything():
    q, k, v = random(4, 2, 1, 128)
    whole = scattered(stored(k, v), 2)
    for array in whole.arrays:
        array[whole.where.ids[1, 1], 10:] = torch.nan
    ragged = Segment("dense", whole.arrays, Table(whole.where.ids, torch.tensor([[64, 64], [64, 10]])))
    o, _ = attend(q, [ragged], 2)
    want, _ = plain(q[2:], k[1:, :74], v[1:, :74], 1)
    assert torch.allclose(o[2:].double(), want, atol=1e-5)


def test_a_head_that_sees_nothing_gives_zeros():
    q, k, v = random(4, 2, 1, 64)
    whole = scattered(stored(k, v), 2)
    ragged = Segment("dense", whole.arrays, Table(whole.where.ids, torch.tensor([[64], [0]])))
    o, lse = attend(q, [ragged], 2)
    assert torch.equal(o[2:], torch.zeros_like(o[2:]))
    assert torch.isneginf(lse[2:]).all()
    both, _ = attend(q, [ragged, stored(k, v)], 2)
    want, _ = plain(q[2:], k[1:], v[1:], 1)
    assert torch.allclose(both[2:].double(), want, atol=1e-5)


def test_channels_left_out_of_the_keys_are_left_out_of_the_query():
    q, k, v = random(4, 2, 1, 64)
    kept = torch.tensor([[0, 3, 5, 9], [1, 2, 30, 31]])
    thin = k.gather(2, kept.unsqueeze(1).expand(-1, 64, -1))
    o, _ = attend(q, [Segment("dense", (thin, v), Span(0, 1, 64), channels=kept)], 2)
    zeroed = torch.zeros_like(k).scatter_(2, kept.unsqueeze(1).expand(-1, 64, -1), thin)
    want, _ = plain(q, zeroed, v, 2)
    assert torch.allclose(o.double(), want, atol=1e-5)


def test_temperature_and_scale_act_on_all_contexts_together():
    q, k, v = random(4, 2, 1, 192)
    own = stored(k[:, :64], v[:, :64])
    contexts = [stored(k[:, 64:100], v[:, 64:100]), stored(k[:, 100:], v[:, 100:])]
    warm = [Segment("dense", c.arrays, c.where, temperature=0.5, scale=0.8) for c in contexts]
    o, _ = attend(q, [own, *warm], 2)
    far, log = plain(q, k[:, 64:], v[:, 64:], 2, temperature=0.5)
    near, near_log = plain(q, k[:, :64], v[:, :64], 2)
    want, _ = merge([(near, near_log), (far, log * 0.4)])
    assert torch.allclose(o.double(), want, atol=1e-5)


def test_the_fused_call_and_the_plain_products_agree():
    q, k, v = (x[None] for x in random(2, 2, 7, 90))
    mask = torch.rand(2, 7, 90) < 0.5
    mask[0, 3] = False
    for found, want in zip(softmax_rows(q, k, v, mask, 0.1), _plain(q, k, v, mask, 0.1), strict=True):
        assert torch.allclose(found, want, atol=1e-5)


def test_inputs_stay_as_they_are():
    q, k, v = random(4, 2, 2, 70)
    segment = stored(k, v, "int4")
    before = [q.clone(), *(a.clone() for a in segment.arrays)]
    attend(q, [segment], 2)
    assert all(torch.equal(a, b) for a, b in zip(before, [q, *segment.arrays], strict=True))


def test_a_query_of_another_shape_is_named():
    with pytest.raises(ValueError, match=r"multiple of 2 KV heads, not \(3, 1, 8\)"):
        attend(torch.zeros(3, 1, 8), [], 2)
