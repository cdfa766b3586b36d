"""The open end of a sequence, where keys and values are written; blocks are encoded as soon as they are full.

What a token sees depends on its position only (encoded: all blocks before its own; dense: its own), so chunk
sizes, prefix hits and drafts cannot change an answer.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ctxeng.kv.piece import Hold, Piece, located, sealed, whole
from ctxeng.kv.pool import Ids, Pool
from ctxeng_kernels.pack import BLOCK, encode
from ctxeng_kernels.segment import Segment, Span, Table


class Tail:
    """Room for `capacity` tokens from rotary position `start`, reserved whole.

    `dense` is the pool of open blocks; `coded`, where it is another, that of the full ones.
    Raises CacheFull where the room is not there; nothing is held then.
    """

    def __init__(
        self, dense: Pool, coded: Pool, layers: int, kv_heads: int, capacity: int, start: int
    ) -> None:
        self.dense, self.coded, self.start, self.length = dense, coded, start, 0
        self.shared = 0  # tokens whose blocks others hold too: never to be written again
        self.blocks = max(1, -(-capacity // BLOCK))
        self.shape = (layers, kv_heads)
        self.encodes = dense is not coded
        self._ids = coded.take(layers * kv_heads * self.blocks).reshape(layers, kv_heads, -1)
        self._open = self._ids
        if self.encodes:
            try:
                self._open = dense.take(layers * kv_heads).reshape(layers, kv_heads, 1)
            except BaseException:
                coded.give(self._ids.ravel())
                raise
        self._where = [located(dense, ids, 0) for ids in self._open]
        self._coded = [located(coded, ids, 0) for ids in self._ids] if self.encodes else []
        self._homes: dict[int, tuple[Tensor, ...]] = {}
        self._whole: list[tuple[Tensor, Tensor]] = []
        self._tables = [torch.from_numpy(np.ascontiguousarray(ids)) for ids in self._open]

    @property
    def capacity(self) -> int:
        """Tokens it has room for."""
        return self.blocks * BLOCK

    @property
    def nbytes(self) -> int:
        """Bytes it holds, used or not."""
        return sum(hold.nbytes for hold in self._holds())

    def strides(self, count: int) -> Iterator[tuple[int, int]]:
        """How `count` new tokens are to be written: whole where nothing is encoded, else block by block."""
        if not self.encodes:
            yield 0, count
            return
        done = 0
        while done < count:
            step = min(count - done, BLOCK - (self.length + done) % BLOCK)
            yield done, done + step
            done += step

    def write(self, layer: int, at: int, k: Tensor, v: Tensor) -> None:
        """Rows k, v [T, Hkv, d] from the tail's token number `at` on; they stay within one stride."""
        row = at % BLOCK if self.encodes else at
        where = self._where[layer]
        if isinstance(where, Span):
            for home, x in zip(self._home(layer, where), (k, v), strict=True):
                home.narrow(1, row, len(x)).copy_(x.transpose(0, 1))
            return
        rows = torch.arange(row, row + len(k))
        for array, x in zip(self.dense.arrays, (k, v), strict=True):
            array[self._tables[layer][:, rows // BLOCK], rows % BLOCK] = x.transpose(0, 1).to(array.dtype)

    def _home(self, layer: int, where: Span) -> tuple[Tensor, ...]:
        """Keys and values [Hkv, rows, d] of a layer whose blocks lie regularly, as they lie."""
        if layer not in self._homes:
            end = where.first + self.shape[1] * where.stride
            rows = self.shape[1], where.stride * BLOCK, -1
            self._homes[layer] = tuple(array[where.first : end].view(rows) for array in self.dense.arrays)
        return self._homes[layer]

    def homes(self) -> list[tuple[Tensor, Tensor]] | None:
        """Keys and values [1, Hkv, rows, d] of every layer where they lie; None where they lie apart."""
        if not self._whole and all(isinstance(where, Span) for where in self._where):
            found = (self._home(layer, where) for layer, where in enumerate(self._where))  # type: ignore[arg-type]
            self._whole = [(k.unsqueeze(0), v.unsqueeze(0)) for k, v in found]
        return self._whole or None

    def segments(self, layer: int, upto: int) -> list[Segment]:
        """What the token number `upto` - 1 sees of this tail, itself included."""
        if not self.encodes:
            return [self._dense(layer, upto, self.start)]
        full = (upto - 1) // BLOCK * BLOCK
        found = []
        if full:
            codes = _cut(self._coded[layer], full)
            found.append(self.coded.segment(codes, positions=self.start))
        return [*found, self._dense(layer, upto - full, self.start + full)]

    def settle(self, layer: int, upto: int) -> None:
        """Encode the block that ends at token number `upto`, if one does."""
        if not self.encodes or upto % BLOCK:
            return
        ids = self._tables[layer][:, 0]
        codes = encode(self.coded.codec, *(array[ids] for array in self.dense.arrays))
        self.coded.write(self._ids[layer, :, upto // BLOCK - 1], codes)

    def seal(self, tokens: int) -> Piece:
        """The first `tokens` tokens as a piece that shares their blocks; whole blocks only."""
        assert tokens % BLOCK == 0
        assert tokens <= self.length
        self.shared = max(self.shared, tokens)
        return sealed(self.coded, self._ids, tokens, self.start)

    def seal_all(self) -> Piece:
        """Every token as a piece. A begun block is encoded as it is where full ones are encoded."""
        begun = self.length % BLOCK
        if not self.encodes or not begun:
            self.shared = self.length
            return sealed(self.coded, self._ids, self.length, self.start)
        layers, heads = self.shape
        extra = self.coded.take(layers * heads).reshape(layers, heads, 1)
        for layer in range(layers):
            ids = self._tables[layer][:, 0]
            rows = [whole(array[ids, :begun]) for array in self.dense.arrays]
            self.coded.write(extra[layer, :, 0], encode(self.coded.codec, *rows))
        self.shared = max(self.shared, self.length - begun)
        ids = np.concatenate((self.full(), extra), -1)
        piece = sealed(self.coded, ids, self.length, self.start)
        self.coded.give(extra.ravel())  # the piece holds it now
        return piece

    def full(self) -> Ids:
        """The blocks [layers, Hkv, n] that are full; whoever holds on to them says so in `shared`."""
        return self._ids[:, :, : self.length // BLOCK]

    def rest(self, layer: int, since: int) -> tuple[Tensor, Tensor]:
        """Keys and values [T, Hkv, d] of the rows from `since` on: those of the last block begun."""
        count = self.length - since
        row = since % BLOCK if self.encodes else since
        segment = self._dense(layer, row + count, 0)
        k, v, _ = segment.rows(self.shape[1], self.dense.arrays[0].dtype)
        return k[:, row : row + count].transpose(0, 1), v[:, row : row + count].transpose(0, 1)

    def release(self) -> None:
        """Give all blocks back."""
        for hold in self._holds():
            hold.release()

    def _holds(self) -> list[Hold]:
        own = [Hold(self.coded, self._ids.ravel())]
        return [*own, Hold(self.dense, self._open.ravel())] if self.encodes else own

    def _dense(self, layer: int, rows: int, start: int) -> Segment:
        where = _cut(self._where[layer], rows)
        return Segment("dense", self.dense.arrays, where, causal=True, positions=start)


def _cut(where: Span | Table, rows: int) -> Span | Table:
    if isinstance(where, Span):
        return Span(where.first, where.stride, rows)
    blocks = -(-rows // BLOCK)
    fill = (rows - torch.arange(blocks) * BLOCK).clamp(0, BLOCK).expand(len(where.ids), -1)
    return Table(where.ids[:, :blocks], fill)
