"""Attention that rows were given: the columns of the full map, without the map."""

import pytest
import torch

from blocks import random, scattered, stored
from ctxeng_kernels.attend import attend
from ctxeng_kernels.score import column_sums
from ctxeng_kernels.segment import Segment


@pytest.mark.parametrize("queries", [1, 5, 150])
@pytest.mark.parametrize("spread", [False, True])
def test_column_sums_are_those_of_the_map(queries, spread):
    q, k, v = random(4, 2, queries, 200)
    past = stored(k[:, :50], v[:, :50])
    own = stored(k[:, 50:], v[:, 50:])
    if spread:
        past, own = scattered(past, 2), scattered(own, 2)
    segments = [past, Segment("dense", own.arrays, own.where, causal=True)]
    _, lse = attend(q, segments, 2)
    sums = column_sums(q, segments, 2, lse)
    if spread:  # rows of the padding are nobody's
        assert torch.equal(sums[:, 50:64], torch.zeros(2, 14))
        sums = torch.cat((sums[:, :50], sums[:, 64:214]), 1)
    logits = q.view(2, -1, 32) @ k.transpose(1, 2) / 32**0.5
    order = torch.arange(200) - (200 - queries) <= torch.arange(queries).unsqueeze(1)
    weights = logits.masked_fill(~order.repeat(2, 1), -torch.inf).softmax(-1)
    assert torch.allclose(sums, weights.sum(1), atol=1e-4)
    assert float(sums.sum()) == pytest.approx(4 * queries, rel=1e-4)
