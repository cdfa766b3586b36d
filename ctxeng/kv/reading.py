"""What a step reads: bytes of live rows, counted where attention is about to look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from ctxeng.kv.policy import Forgets, Watch
from ctxeng.kv.sequence import Pools
from ctxeng.kv.sequence import Sequence as Cache
from ctxeng_kernels.pack import BLOCK
from ctxeng_kernels.segment import Rows, Segment, Span, Table


def segment_bytes(segment: Segment, heads: int) -> float:
    """Bytes of the live rows of all heads, scales of their blocks included in proportion."""
    block = sum(array[0].nbytes for array in segment.arrays)
    return float(live_rows(segment, heads) * block / BLOCK)


def live_rows(segment: Segment, heads: int) -> int:
    """Rows that count, all heads together."""
    match segment.where:
        case Span(length=length):
            return length * heads
        case Table(fill=fill):
            return int(fill.sum())
        case Rows(live=live):
            return int(live.sum())


@dataclass
class Metered:
    """A policy at work, or none, with a meter on what its queries read: bytes, and passes over each layer."""

    heads: int
    inner: Watch | None = None
    read: float = 0.0
    passes: dict[int, int] = field(default_factory=dict)

    def select(self, layer: int, q: Tensor, segments: list[Segment]) -> list[Segment]:
        """What the policy selects, counted."""
        found = segments if self.inner is None else self.inner.select(layer, q, segments)
        self.read += sum(segment_bytes(segment, self.heads) for segment in found)
        self.passes[layer] = self.passes.get(layer, 0) + 1
        return found

    def seen(self, layer: int, q: Tensor, segments: Sequence[Segment], lse: Tensor) -> None:
        """Handed on."""
        if self.inner is not None:
            self.inner.seen(layer, q, list(segments), lse)

    def settle(self, sequence: Cache, pools: Pools) -> None:
        """Handed on."""
        if self.inner is not None:
            self.inner.settle(sequence, pools)

    def crop(self, rows: int, gone: int) -> None:
        """Handed on."""
        if isinstance(self.inner, Forgets):
            self.inner.crop(rows, gone)

    @property
    def per_step(self) -> float:
        """Bytes that a step read, on average."""
        steps = max(self.passes.values(), default=0)
        return self.read / steps if steps else 0.0
