"""Sealed runs of a cache, shared by reference: prefixes, documents, what forks have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from ctxeng.kv.pool import Ids, Pool
from ctxeng_kernels.pack import BLOCK, encode
from ctxeng_kernels.segment import Segment, Span, Table


@dataclass(frozen=True)
class Hold:
    """References to blocks of one pool."""

    pool: Pool
    ids: Ids

    def share(self) -> None:
        """One more reference to each."""
        self.pool.share(self.ids)

    def release(self) -> None:
        """One less."""
        self.pool.give(self.ids)

    @property
    def nbytes(self) -> int:
        """Bytes of these blocks."""
        return len(self.ids) * self.pool.block_bytes


@dataclass(frozen=True)
class Piece:
    """Sealed tokens: one segment a layer, at the positions they were encoded at. Never changes.

    `tokens` counts what it stands for, `start` the rotary position of the first; `index`, where rows were
    dropped, gives the kept rows' numbers in the piece [Hkv, rows] by layer (padding: -1).
    """

    segments: tuple[Segment, ...]
    holds: tuple[Hold, ...]
    tokens: int
    start: int = 0
    index: tuple[Tensor, ...] = ()
    notes: dict[str, object] = field(default_factory=dict, compare=False)  # what selectors computed once

    def share(self) -> Piece:
        """The same piece with one more holder."""
        for hold in self.holds:
            hold.share()
        return self

    def release(self) -> None:
        """One holder less; to be called once for each holder."""
        for hold in self.holds:
            hold.release()

    @property
    def nbytes(self) -> int:
        """Bytes of its blocks and of the numbers of kept rows."""
        return sum(hold.nbytes for hold in self.holds) + sum(int(index.nbytes) for index in self.index)


@dataclass(frozen=True)
class Placed:
    """A piece at its place in a sequence: `shift` positions from where it was encoded.

    `turn`: cos and sin of the rotation by -shift that the query makes (None: no shift). An `apart` piece was
    read as a part of its own, perhaps side by side with others; `temperature` and `scale` are APE's.
    """

    piece: Piece
    shift: int = 0
    turn: tuple[Tensor, Tensor] | None = None
    temperature: float = 1.0
    scale: float = 1.0
    apart: bool = False

    def segment(self, layer: int) -> Segment:
        """What the query meets in that layer."""
        found = self.piece.segments[layer]
        if self.turn is None and self.temperature == self.scale == 1.0:
            return found
        where = found.positions
        return replace(
            found,
            turn=self.turn,
            temperature=self.temperature,
            scale=self.scale,
            positions=where + self.shift,
        )

    @property
    def end(self) -> int:
        """The rotary position after its last token."""
        return self.piece.start + self.shift + self.piece.tokens


def located(pool: Pool, ids: Ids, tokens: int) -> Span | Table:
    """Blocks [Hkv, n] of one layer as a regular span where they lie so, else as a table; `tokens` in all."""
    heads, blocks = ids.shape
    stride = int(ids[1, 0] - ids[0, 0]) if heads > 1 and blocks else blocks
    regular = ids[:1, :1] + np.arange(heads)[:, None] * stride + np.arange(blocks)
    inside = blocks and stride >= blocks and int(ids[0, 0]) + heads * stride <= pool.size
    if inside and np.array_equal(ids, regular):
        return Span(int(ids[0, 0]), stride, tokens)
    fill = (tokens - torch.arange(blocks) * BLOCK).clamp(0, BLOCK).expand(heads, -1)
    return Table(torch.from_numpy(np.ascontiguousarray(ids)), fill)


def sealed(pool: Pool, ids: Ids, tokens: int, start: int) -> Piece:
    """A piece of the first `tokens` rows of blocks [layers, Hkv, n]; it takes a reference of its own."""
    kept = ids[:, :, : -(-tokens // BLOCK)]
    pool.share(kept.ravel())
    segments = tuple(pool.segment(located(pool, layer, tokens), positions=start) for layer in kept)
    return Piece(segments, (Hold(pool, kept.ravel()),), tokens, start)


def ragged(
    pool: Pool,
    rows: Sequence[tuple[list[Tensor], list[Tensor]]],
    index: Sequence[list[Tensor]],
    tokens: int,
    start: int,
) -> Piece:
    """A piece of kept rows: by layer, keys and values of each head [n_h, d], and their numbers [n_h].

    Each head takes the blocks it needs and no more. Raises CacheFull before anything is taken.
    """
    sizes = np.array([[-(-len(k) // BLOCK) for k in keys] for keys, _ in rows])
    ids = pool.take(int(sizes.sum()))
    segments, numbers, used = [], [], 0
    for layer, (keys, values) in enumerate(rows):
        segment, used = _ragged_layer(pool, keys, values, sizes[layer], ids, used)
        positions = _padded(index[layer], segment)
        numbers.append(positions)
        segments.append(replace(segment, positions=positions.long() + start))
    return Piece(tuple(segments), (Hold(pool, ids),), tokens, start, tuple(numbers))


def _ragged_layer(
    pool: Pool, keys: list[Tensor], values: list[Tensor], sizes: Ids, ids: Ids, used: int
) -> tuple[Segment, int]:
    widest = int(sizes.max(initial=0))
    table = torch.zeros(len(keys), widest, dtype=torch.long)
    fill = torch.zeros(len(keys), widest, dtype=torch.long)
    for head, (k, v, blocks) in enumerate(zip(keys, values, sizes, strict=True)):
        own = ids[used : used + blocks]
        used += int(blocks)
        if not blocks:
            continue
        pool.write(own, encode(pool.codec, *(whole(x).view(-1, BLOCK, x.shape[-1]) for x in (k, v))))
        table[head, :blocks] = torch.from_numpy(own)
        fill[head, :blocks] = (len(k) - torch.arange(blocks) * BLOCK).clamp(max=BLOCK)
    return pool.segment(Table(table, fill)), used


def whole(rows: Tensor) -> Tensor:
    """[..., n, d] filled up to whole blocks; the last row stands in for what lacks, widening no range."""
    short = -rows.shape[-2] % BLOCK
    if not short:
        return rows
    return torch.cat((rows, rows[..., -1:, :].expand(*rows.shape[:-2], short, -1)), -2)


def _padded(index: list[Tensor], segment: Segment) -> Tensor:
    assert isinstance(segment.where, Table)
    room = segment.where.ids.shape[1] * BLOCK
    found = torch.full((len(index), room), -1, dtype=torch.int32)
    for head, numbers in enumerate(index):
        found[head, : len(numbers)] = numbers
    return found
