"""Policies at work on some pieces of a sequence: a playbook squeezed, documents paged, the rest whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from ctxeng.kv.policy import Forgets, Watch
from ctxeng.kv.sequence import Pools, Sequence
from ctxeng_kernels.segment import Segment


@dataclass
class Own:
    """A policy that sees a part being read: its own segments, not the `before` that stand in front of it."""

    inner: Watch
    before: int

    def select(self, layer: int, q: Tensor, segments: list[Segment]) -> list[Segment]:
        """Everything: a part is read whole."""
        del layer, q
        return segments

    def seen(self, layer: int, q: Tensor, segments: list[Segment], lse: Tensor) -> None:
        """The part's own rows; lse counts those before it too, so shares of attention stay true."""
        self.inner.seen(layer, q, segments[self.before :], lse)

    def settle(self, sequence: Sequence, pools: Pools) -> None:
        """Thin the part, which is all there is of the sequence."""
        self.inner.settle(sequence, pools)


@dataclass
class ByPiece:
    """What a generation reads of each piece, by the piece's number; `rest` chooses from all else."""

    pieces: Mapping[int, Watch] = field(default_factory=dict)
    rest: Watch | None = None

    def select(self, layer: int, q: Tensor, segments: list[Segment]) -> list[Segment]:
        """Each piece's policy chooses from its own segment."""
        found: list[Segment] = []
        others: list[Segment] = []
        for number, segment in enumerate(segments):
            watch = self.pieces.get(number)
            if watch is None:
                others.append(segment)
            else:
                found += watch.select(layer, q, [segment])
        return found + (others if self.rest is None else self.rest.select(layer, q, others))

    def seen(self, layer: int, q: Tensor, segments: list[Segment], lse: Tensor) -> None:
        """Pieces are settled already; what chooses from the rest may learn."""
        if self.rest is not None:
            self.rest.seen(layer, q, segments, lse)

    def crop(self, rows: int, gone: int) -> None:
        """Pieces stay whole; what chooses from the rest forgets."""
        if isinstance(self.rest, Forgets):
            self.rest.crop(rows, gone)

    def settle(self, sequence: Sequence, pools: Pools) -> None:
        """Handed on."""
        if self.rest is not None:
            self.rest.settle(sequence, pools)
