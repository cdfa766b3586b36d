"""A run of a sequence's cache: blocks of one codec, where they lie, and how the query meets them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ctxeng_kernels.layout import Layout, best_layout, by_rows, laid_out
from ctxeng_kernels.pack import BLOCK, Codec, decode, encode


@dataclass(frozen=True, slots=True)
class Span:
    """Blocks that lie regularly: head h's are `first + h * stride` onwards; `length` tokens of each."""

    first: int
    stride: int
    length: int


@dataclass(frozen=True, slots=True)
class Table:
    """Blocks that lie anywhere: ids [Hkv, n], and how many rows of each are live [Hkv, n]."""

    ids: Tensor
    fill: Tensor


@dataclass(frozen=True, slots=True)
class Rows:
    """Single rows of dense blocks, block x 64 + row: ids [Hkv, n], and which of them count [Hkv, n]."""

    ids: Tensor
    live: Tensor


@dataclass(frozen=True, slots=True)
class Segment:
    """Keys and values that a query may attend to.

    `arrays`: the pool's, block first (see pack.fields). `where`: the blocks of each KV head.
    `turn`: cos and sin [d] of the rotation that carries the query into the segment's own positions; None: it
    is at home. `temperature` divides the logits, `scale` multiplies the segment's log-sum-exp (APE).
    `causal`: the last rows are those of the queries themselves. `positions`: of each row [Hkv or 1, n], for
    sliding windows; an int: of the first, the others follow. `channels` [Hkv, k_dim]: the key channels kept.
    `fast`: int4 in half the time, with 1 to 3 % of error more. `layout`: how codes lie in their blocks.
    """

    codec: Codec
    arrays: tuple[Tensor, ...]
    where: Span | Table | Rows
    causal: bool = False
    positions: int | Tensor = 0
    turn: tuple[Tensor, Tensor] | None = None
    temperature: float = 1.0
    scale: float = 1.0
    channels: Tensor | None = None
    fast: bool = False
    layout: Layout = "rows"

    @classmethod
    def of(cls, k: Tensor, v: Tensor, codec: Codec = "dense", *, causal: bool = False) -> Segment:
        """Keys and values [Hkv, n, d], encoded block by block and laid out as this machine's kernels want it.

        Raises ValueError where heads or rows of keys and values differ.
        """
        if k.dim() != 3 or k.shape[:2] != v.shape[:2]:  # noqa: PLR2004 - heads, rows, channels
            raise ValueError(
                f"keys {tuple(k.shape)} and values {tuple(v.shape)} are not rows of the same heads"
            )
        tokens = k.shape[1]
        blocks = -(-tokens // BLOCK)
        short = blocks * BLOCK - tokens  # the last row stands in for what lacks, and widens no range
        whole = (
            torch.cat((x, x[:, -1:].expand(-1, short, -1)), 1).reshape(-1, BLOCK, x.shape[-1]) for x in (k, v)
        )
        layout = best_layout(codec, k.shape[2], v.shape[2])
        arrays = laid_out(codec, encode(codec, *whole), layout)
        return cls(codec, arrays, Span(0, blocks, tokens), causal=causal, layout=layout)

    def rows(self, heads: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor | None]:
        """Keys [Hkv, n, k_dim], values [Hkv, n, v_dim], and which rows are live [Hkv, n] (None: all)."""
        if isinstance(self.where, Span):
            return self._regular(self.where, heads, dtype)
        if isinstance(self.where, Rows):
            return self._single(self.where)
        ids = self.where.ids
        k, v = self._decoded(tuple(array[ids] for array in self.arrays), dtype)
        live = (torch.arange(BLOCK) < self.where.fill.unsqueeze(-1)).flatten(1)
        k, v = k.flatten(1, 2), v.flatten(1, 2)
        if bool(live.all()):
            return k, v, None
        dead = ~live.unsqueeze(-1)  # whatever lies there, NaN too: no weight of nought makes that harmless
        return k.masked_fill(dead, 0), v.masked_fill(dead, 0), live

    def _single(self, where: Rows) -> tuple[Tensor, Tensor, Tensor | None]:
        if self.codec != "dense":
            raise ValueError(f"single rows can be read of dense blocks only, not of {self.codec} ones")
        k, v = (array.flatten(0, 1)[where.ids] for array in self.arrays)
        return k, v, None if bool(where.live.all()) else where.live

    def _regular(self, span: Span, heads: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor | None]:
        if self.codec == "dense":  # as it lies: nothing is copied
            k, v = self.arrays
            return _lying(k, span, heads), _lying(v, span, heads), None
        end = span.first + heads * span.stride
        blocks = -(-span.length // BLOCK)
        codes = (array[span.first : end].unflatten(0, (heads, -1))[:, :blocks] for array in self.arrays)
        k, v = self._decoded(tuple(codes), dtype)
        return k.flatten(1, 2)[:, : span.length], v.flatten(1, 2)[:, : span.length], None

    def _decoded(self, arrays: tuple[Tensor, ...], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        return decode(self.codec, by_rows(self.codec, arrays, self.layout), dtype)

    def order(self, rows: int, count: int, live: Tensor | None) -> Tensor | None:
        """Which of `rows` rows each of `count` queries may see [Hkv or 1, count, rows]; None: all of them."""
        mask = None if live is None else live.unsqueeze(1)
        if self.causal and count > 1:
            end = torch.tensor([rows]) if live is None else live.sum(-1)
            first = (end - count).view(-1, 1, 1)
            earlier = torch.arange(rows) - first <= torch.arange(count).unsqueeze(1)
            mask = earlier if mask is None else mask & earlier
        return mask

    def sight(
        self, group: int, count: int, at: int = 0, window: int | None = None
    ) -> tuple[Tensor, Tensor] | None:
        """First and end of the rows that `count` queries see, for each of a group [Hkv or 1, group * count].

        None: all that are live. The first query is at position `at`; a window needs plain positions.
        """
        ordered = self.causal and count > 1
        if window is None and not ordered:
            return None
        steps = torch.arange(count)
        first, end = torch.zeros(1, count, dtype=torch.long), torch.full((1, count), self.rows_held())
        if ordered:
            live = self.where.fill.sum(-1, keepdim=True) if isinstance(self.where, Table) else end[:, :1]
            end = live - count + 1 + steps
        if window is not None:
            assert isinstance(self.positions, int)
            first = (at + steps - window - self.positions + 1).clamp(min=0).unsqueeze(0)
            if not ordered and not first.any():
                return None
        return first.repeat(1, group), end.repeat(1, group)

    def facing(self, q: Tensor) -> Tensor:
        """Queries [..., d] turned into the segment's own positions."""
        if self.turn is None:
            return q
        cos, sin = self.turn
        return q * cos + q.roll(q.shape[-1] // 2, -1) * sin

    def rows_held(self) -> int:
        """Rows that `rows` gives, live or not."""
        if isinstance(self.where, Span):
            return self.where.length
        return int(self.where.ids.shape[1]) * (1 if isinstance(self.where, Rows) else BLOCK)


def _lying(array: Tensor, span: Span, heads: int) -> Tensor:
    """The span's rows [heads, length, d] of a dense array [blocks, 64, d]; each step needs two views."""
    block, row, channel = array.stride()
    size = heads, span.length, array.shape[-1]
    return array.as_strided(
        size, (span.stride * block, row, channel), array.storage_offset() + span.first * block
    )
