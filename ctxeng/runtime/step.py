"""One token over a cache that lies in one run: the commonest pass, without what only others need."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import Tensor

from ctxeng_kernels import native
from ctxeng_kernels.attend import softmax_rows
from ctxeng_kernels.native import SHORT

if TYPE_CHECKING:
    from ctxeng.kv.tail import Tail
    from ctxeng.runtime.attention import CacheShape, Span


class Step:
    """Writes a token's row and attends, layer by layer: what `answer` does, in a third of its calls.

    Where each layer's rows lie does not change within a pass, so it is looked up beforehand.
    """

    def __init__(self, heads: int, tail: Tail, homes: list[tuple[Tensor, Tensor]]) -> None:
        self.row, self.homes, self.heads, self.tail = tail.length, homes, heads, tail
        self.scale = 1 / math.sqrt(homes[0][0].shape[-1])

    @classmethod
    def of(cls, config: CacheShape, span: Span) -> Step | None:
        """For a span of one token, no policy, no pieces before its tail, no window; else None."""
        sequence, tail = span.sequence, span.sequence.tail
        plain = span.count == 1 and span.watcher is None and not sequence.placed
        if not plain or tail is None or tail.encodes or any(config.windows):
            return None
        homes = tail.homes()
        return None if homes is None else cls(config.kv_heads, tail, homes)

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Q [1, heads, d], k and v [1, kv_heads, d], rotated -> [1, heads * d]."""
        keys, values = self.homes[layer]  # [1, kv_heads, rows, d]
        keys.narrow(2, self.row, 1).copy_(k.transpose(0, 1))
        values.narrow(2, self.row, 1).copy_(v.transpose(0, 1))
        upto = self.row + 1
        grouped = q.view(1, self.heads, -1, q.shape[-1])
        if upto >= SHORT:
            (segment,) = self.tail.segments(layer, upto)
            found = native.attend(grouped[0], segment, self.scale)
            if found is not None:
                return found[0].view(1, -1)
        o, _ = softmax_rows(grouped, keys.narrow(2, 0, upto), values.narrow(2, 0, upto), None, self.scale)
        return o.view(1, -1)
