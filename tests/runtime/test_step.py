"""The commonest pass, one token over one run of rows, is the general one with less ado."""

import pytest
import torch

from ctxeng.kv.pool import Budget
from ctxeng.kv.sequence import Pools, Sequence, Shape
from ctxeng.runtime.attention import Span, answer
from ctxeng.runtime.rope import Rotation
from ctxeng.runtime.step import Step
from tiny_model import tiny

CONFIG = tiny().config


def span(tokens, count=1, codec="dense", watcher=None):
    sequence = Sequence(Pools(Shape(3, 2, 32), Budget(1 << 22)), codec)
    sequence.reserve(tokens + 80)
    generator = torch.Generator().manual_seed(tokens)
    while sequence.tail.length < tokens:
        size = next(sequence.tail.strides(tokens - sequence.tail.length))[1]
        for layer in range(3):
            k, v = (torch.randn(size, 2, 32, generator=generator) for _ in range(2))
            sequence.tail.write(layer, sequence.tail.length, k, v)
            sequence.tail.settle(layer, sequence.tail.length + size)
        sequence.tail.length += size
    return Span(sequence, 0, count, Rotation.upto(CONFIG.rope, 400), watcher)


@pytest.mark.parametrize("tokens", [0, 1, 63, 64, 65, 200])
def test_a_step_answers_and_writes_what_the_general_pass_does(tokens):
    q, k, v = torch.randn(1, 4, 32), torch.randn(1, 2, 32), torch.randn(1, 2, 32)
    one, two = span(tokens), span(tokens)
    step = Step.of(CONFIG, one)
    for layer in range(3):
        found, want = step(layer, q, k, v), answer(CONFIG, layer, two, q, k, v)
        assert torch.allclose(found, want, atol=1e-6)
        for mine, theirs in zip(
            one.sequence.tail.homes()[layer], two.sequence.tail.homes()[layer], strict=True
        ):
            assert torch.equal(mine[:, :, : tokens + 1], theirs[:, :, : tokens + 1])


def test_everything_else_takes_the_general_way():
    class Windowed:
        kv_heads, windows = 2, (None, 8, None)

    assert Step.of(CONFIG, span(70)) is not None
    assert Step.of(Windowed, span(70)) is None
    assert Step.of(CONFIG, span(70, 2)) is None
    assert Step.of(CONFIG, span(70, codec="int8")) is None
    assert Step.of(CONFIG, span(70, watcher=object())) is None
    forked = span(70)
    forked.sequence.fork()
    parent = Span(forked.sequence.fork(), 0, 1, forked.rotation)
    assert Step.of(CONFIG, parent) is None  # its first block is a shared piece
