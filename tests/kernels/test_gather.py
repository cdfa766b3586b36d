"""Rows taken out of a segment, compiled and not."""

import pytest
import torch

from blocks import random, scattered, stored
from ctxeng_kernels import native
from ctxeng_kernels.gather import gather


@pytest.mark.parametrize("codec", ["dense", "int8", "int4"])
@pytest.mark.parametrize("d", [24, 64, 80])
@pytest.mark.parametrize("spread", [False, True])
def test_rows_are_those_that_the_codes_stand_for(codec, d, spread, monkeypatch):
    _, k, v = random(2, 2, 1, 192, d=d)
    segment = scattered(stored(k, v, codec), 2) if spread else stored(k, v, codec)
    keys, values, _ = segment.rows(2, torch.float32)
    rows = torch.tensor([[0, 191, 64, 5, -1], [63, 63, 128, 400, 2]])
    found = gather(segment, rows)
    monkeypatch.setattr(native, "library", lambda: None)
    for one, other, whole in zip(found, gather(segment, rows), (keys, values), strict=True):
        assert torch.equal(one, other)
        assert torch.equal(one[0, :4], whole[0, rows[0, :4]])
        assert torch.equal(one[1, [0, 1, 2, 4]], whole[1, rows[1, [0, 1, 2, 4]]])
        assert not one[0, 4].any()
        assert not one[1, 3].any()


def test_no_rows_of_nothing():
    segment = stored(*random(2, 2, 1, 0, d=64)[1:], "int8")
    k, v = gather(segment, torch.tensor([[0], [-1]]))
    assert k.shape == v.shape == (2, 1, 64)
    assert not k.any()
