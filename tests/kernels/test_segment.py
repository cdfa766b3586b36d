"""Segments made of plain keys and values: what goes in is what is attended to."""

import pytest
import torch

from blocks import random
from ctxeng_kernels.attend import attend
from ctxeng_kernels.segment import Segment


@pytest.mark.parametrize("codec", ["dense", "int8", "int4"])
@pytest.mark.parametrize("tokens", [0, 1, 64, 100])
@pytest.mark.parametrize("d", [24, 64])
def test_a_segment_of_rows_holds_those_rows(codec, tokens, d):
    q, k, v = random(4, 2, 1, tokens, d=d)
    segment = Segment.of(k, v, codec)
    keys, values, live = segment.rows(2, torch.float32)
    assert keys.shape == k.shape
    assert live is None
    allowed = {"dense": 0.0, "int8": 0.05, "int4": 0.6}[codec]
    assert not tokens or float(torch.maximum((keys - k).abs(), (values - v).abs()).max()) <= allowed
    o, lse = attend(q, [segment], 2)
    want, log = attend(q, [Segment.of(keys, values)], 2)
    assert torch.allclose(o, want, atol=2e-3)
    assert torch.allclose(lse, log, atol=2e-3)


def test_keys_and_values_of_other_heads_are_refused():
    with pytest.raises(ValueError, match=r"keys \(2, 9, 8\) and values \(1, 9, 8\) are not rows"):
        Segment.of(torch.zeros(2, 9, 8), torch.zeros(1, 9, 8))
