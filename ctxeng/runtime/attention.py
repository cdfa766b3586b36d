"""Attention over caches: one pass of the decoder over new tokens of one or more sequences."""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from ctxeng.kv.sequence import Sequence
from ctxeng.runtime.config import ModelConfig
from ctxeng.runtime.rope import Rotation, rotate
from ctxeng.runtime.step import Step
from ctxeng_kernels.attend import attend
from ctxeng_kernels.segment import Segment


class CacheShape(Protocol):
    """What attention has to know of a model: KV heads, and each layer's sliding window."""

    @property
    def kv_heads(self) -> int:
        """Heads of keys and values."""
        ...

    @property
    def windows(self) -> tuple[int | None, ...]:
        """Tokens that each layer sees, itself included; None: all."""
        ...


class Watcher(Protocol):
    """What a policy does beside attention: choose what is read, look at queries. Never changes a cache."""

    def select(self, layer: int, q: Tensor, segments: list[Segment]) -> list[Segment]:
        """What of the segments these queries [Hq, T, d] shall read."""
        ...

    def seen(self, layer: int, q: Tensor, segments: list[Segment], lse: Tensor) -> None:
        """The queries were answered; lse [Hq, T]."""
        ...


@dataclass(frozen=True)
class Span:
    """New tokens of one sequence in a pass: `count` rows from row `start`; the tail has room for them."""

    sequence: Sequence
    start: int
    count: int
    rotation: Rotation | None
    watcher: Watcher | None = None


@dataclass
class CachedAttention:
    """Writes each layer's keys and values into the tails and attends; `commit` makes them count."""

    config: ModelConfig
    spans: Many[Span]
    _cos: Tensor = field(init=False)
    _sin: Tensor = field(init=False)
    _steps: list[Step | None] = field(init=False)

    def __post_init__(self) -> None:
        self._steps = [Step.of(self.config, span) for span in self.spans]
        found = []
        for span in self.spans:
            first = span.sequence.position
            assert span.rotation is not None
            found.append(span.rotation.at(torch.arange(first, first + span.count)))
        self._cos = torch.cat([cos for cos, _ in found]) if len(found) > 1 else found[0][0]
        self._sin = torch.cat([sin for _, sin in found]) if len(found) > 1 else found[0][1]

    def __call__(self, layer: int, qk: Tensor, v: Tensor) -> Tensor:
        """Queries, then keys [T, heads + kv_heads, d], v [T, kv_heads, d] -> [T, heads * d]."""
        if qk.dtype != self._cos.dtype:
            self._cos, self._sin = self._cos.to(qk.dtype), self._sin.to(qk.dtype)
        qk = rotate(qk, self._cos, self._sin)
        q, k = qk[:, : self.config.heads], qk[:, self.config.heads :]
        if len(self.spans) == 1:
            return self._answer(0, layer, q, k, v)
        out = []
        for number, span in enumerate(self.spans):
            rows = slice(span.start, span.start + span.count)
            out.append(self._answer(number, layer, q[rows], k[rows], v[rows]))
        return torch.cat(out)

    def _answer(self, number: int, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        step = self._steps[number]
        return (
            answer(self.config, layer, self.spans[number], q, k, v) if step is None else step(layer, q, k, v)
        )

    @staticmethod
    def commit(span: Span, count: int) -> None:
        """The first `count` rows of a span count from now on; those behind them will be overwritten."""
        assert span.sequence.tail is not None
        span.sequence.tail.length += count


def answer(
    config: ModelConfig | CacheShape, layer: int, span: Span, q: Tensor, k: Tensor, v: Tensor
) -> Tensor:
    """Write rows and attend: q [T, heads, d], k and v [T, kv_heads, d], all rotated -> [T, heads * d]."""
    tail = span.sequence.tail
    assert tail is not None, "reserve room before a pass"
    if not tail.encodes:
        return _stride(config, layer, span, 0, (q, k, v))
    out = []
    for first, last in tail.strides(span.count):
        rows = q[first:last], k[first:last], v[first:last]
        out.append(_stride(config, layer, span, first, rows))
        tail.settle(layer, tail.length + last)
    return out[0] if len(out) == 1 else torch.cat(out)


def _stride(
    config: ModelConfig | CacheShape, layer: int, span: Span, first: int, rows: tuple[Tensor, Tensor, Tensor]
) -> Tensor:
    """Rows of a span from its number `first` on, which the tail takes at once."""
    sequence, (q, k, v) = span.sequence, rows
    tail, count = sequence.tail, len(q)
    assert tail is not None
    before = tail.length + first
    tail.write(layer, before, k, v)
    segments = sequence.segments(layer, before + count)
    q, at, window = q.transpose(0, 1), tail.start + before, config.windows[layer]
    if span.watcher is None:
        o, _ = attend(q, segments, config.kv_heads, at=at, window=window)
    else:
        segments = span.watcher.select(layer, q, segments)
        o, lse = attend(q, segments, config.kv_heads, at=at, window=window)
        span.watcher.seen(layer, q, segments, lse)
    return o.transpose(0, 1).reshape(count, -1)
