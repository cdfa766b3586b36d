"""Which heads retrieve, measured on made-up text: no training, no data.

A run of random tokens comes twice, far apart. Reading it again, a retrieval head looks back to where the same
token stood (or at what followed it), beyond every sink and all that is recent; a streaming head cannot.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ctxeng.kv.methods.duo import Gates
from ctxeng.kv.sequence import Sequence, Shape
from ctxeng_kernels.score import probabilities
from ctxeng_kernels.segment import Segment


@dataclass
class LookingBack:
    """Watches the second reading: mean attention on the same place of the first, and the one behind it.

    The first run stands at `first`, `period` tokens before the second.
    """

    shape: Shape
    period: int
    start: int
    mass: dict[int, Tensor] = field(default_factory=dict)

    def select(self, layer: int, q: Tensor, segments: list[Segment]) -> list[Segment]:
        """Everything."""
        del layer, q
        return segments

    def seen(self, layer: int, q: Tensor, segments: list[Segment], lse: Tensor) -> None:
        """Queries from position `start` on count."""
        (segment,) = segments
        k, _, _ = segment.rows(self.shape.kv_heads, q.dtype)
        rows, count = k.shape[1], q.shape[1]
        own = torch.arange(rows - count, rows)
        late = own >= self.start
        if not bool(late.any()):
            return
        weights = probabilities(q[:, late], k, lse[:, late]).mean(1)  # [Hkv, T, n]
        back = own[late] - self.period
        found = sum(weights.gather(2, (back + step)[None, :, None].expand(len(k), -1, 1)) for step in (0, 1))
        assert isinstance(found, Tensor)
        self.mass[layer] = torch.cat([self.mass.get(layer, found[:, :0, 0]), found[..., 0]], 1)

    def settle(self, sequence: Sequence, pools: object) -> None:
        """Nothing is thinned."""

    def gates(self, model: str) -> Gates:
        """The mean mass by layer and head."""
        rows = (self.mass[layer].mean(1).tolist() for layer in sorted(self.mass))
        return Gates(model, tuple(tuple(row) for row in rows))


def probe(vocabulary: int, run: int = 64, gap: int = 384, seed: int = 0) -> tuple[list[int], int, int]:
    """Random tokens whose first `run` come again behind a `gap`; the period, and where they come again."""
    generator = torch.Generator().manual_seed(seed)
    text = torch.randint(0, vocabulary, (run + gap,), generator=generator).tolist()
    return [*text, *text[:run]], run + gap, run + gap
