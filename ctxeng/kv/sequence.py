"""One sequence's cache: sealed pieces in order, then an open tail. Forks share; crops and releases free."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ctxeng.kv.piece import Piece, Placed
from ctxeng.kv.pool import Budget, Ids, Pool
from ctxeng.kv.tail import Tail
from ctxeng_kernels.pack import BLOCK, Codec
from ctxeng_kernels.segment import Segment


@dataclass(frozen=True)
class Shape:
    """What a cache has to know of a model; `dtype` is that of dense blocks."""

    layers: int
    kv_heads: int
    head_dim: int
    dtype: torch.dtype = torch.float32


@dataclass
class Pools:
    """The pools of an engine, one for each codec and width, under one cap in bytes."""

    shape: Shape
    budget: Budget
    _pools: dict[tuple[Codec, int], Pool] = field(default_factory=dict)

    def of(self, codec: Codec, k_dim: int = 0) -> Pool:
        """The pool of that codec; `k_dim` where keys are thinner than the model's."""
        width = k_dim or self.shape.head_dim
        key = (codec, width)
        if key not in self._pools:
            self._pools[key] = Pool(codec, width, self.shape.head_dim, self.shape.dtype, self.budget)
        return self._pools[key]

    @property
    def in_use(self) -> int:
        """Blocks that somebody holds, all pools together."""
        return sum(pool.in_use for pool in self._pools.values())


class Sequence:
    """The cache of one sequence of tokens.

    `length` counts tokens, `position` is the rotary position of the next one; they differ where pieces stand
    side by side or were moved.
    """

    def __init__(self, pools: Pools, codec: Codec = "dense", placed: tuple[Placed, ...] = ()) -> None:
        self.pools, self.codec = pools, codec
        self.placed = placed
        self.tail: Tail | None = None
        self._closed = False

    @property
    def length(self) -> int:
        """Tokens it stands for."""
        return self.sealed_tokens + (self.tail.length if self.tail else 0)

    @property
    def position(self) -> int:
        """The rotary position of the next token."""
        before = max((p.end for p in self.placed), default=0)
        return self.tail.start + self.tail.length if self.tail else before

    @property
    def start(self) -> int:
        """The rotary position of its first token."""
        first = self.placed[0] if self.placed else None
        return first.piece.start + first.shift if first else self.tail.start if self.tail else 0

    @property
    def room(self) -> int:
        """Tokens that can still be written without asking for more."""
        return self.tail.capacity - self.tail.length if self.tail else 0

    @property
    def nbytes(self) -> int:
        """Bytes held: blocks of all pieces, shared ones included, and of the tail."""
        return sum(p.piece.nbytes for p in self.placed) + (self.tail.nbytes if self.tail else 0)

    def reserve(self, tokens: int) -> None:
        """Make room for so many more tokens. Raises CacheFull, and then nothing has changed."""
        if self.room < tokens:
            self._renew(tokens)

    def segments(self, layer: int, upto: int) -> list[Segment]:
        """What the tail's token number `upto` - 1 may see."""
        found = [p.segment(layer) for p in self.placed]
        return [*found, *(self.tail.segments(layer, upto) if self.tail and upto else ())]

    def numbered(self, layer: int) -> list[tuple[Segment, Tensor]]:
        """Every segment of a layer, and which token each of its rows is [Hkv, rows] (-1: none)."""
        found, before = [], 0
        heads = self.pools.shape.kv_heads
        for p in self.placed:
            segment = p.segment(layer)
            if p.piece.index:
                numbers = p.piece.index[layer].long()
                numbers = torch.where(numbers < 0, numbers, numbers + before)
            else:
                numbers = before + torch.arange(segment.rows_held()).expand(heads, -1)
            found.append((segment, numbers))
            before += p.piece.tokens
        if self.tail is not None and self.tail.length:
            for segment in self.tail.segments(layer, self.tail.length):
                rows = segment.rows_held()
                found.append((segment, before + torch.arange(rows).expand(heads, -1)))
                before += rows
        return found

    @property
    def plain(self) -> bool:
        """Whether every token is there, in order, where it was encoded: what a prefix store can keep."""
        return all(p.turn is None and not p.apart and not p.piece.index for p in self.placed)

    @property
    def sealed_tokens(self) -> int:
        """Tokens before the tail."""
        return sum(p.piece.tokens for p in self.placed)

    def blocks(self) -> list[tuple[int, Ids, Pool]]:
        """Full blocks of a plain sequence: number of the first, ids [layers, Hkv, n], their pool."""
        shape, found = self.pools.shape, []
        for p in self.placed:
            hold = p.piece.holds[0]
            found.append(
                (p.piece.start // BLOCK, hold.ids.reshape(shape.layers, shape.kv_heads, -1), hold.pool)
            )
        if self.tail is not None and self.tail.length >= BLOCK:
            self.tail.shared = max(self.tail.shared, self.tail.length // BLOCK * BLOCK)
            found.append((self.tail.start // BLOCK, self.tail.full(), self.tail.coded))
        return found

    def fork(self) -> Sequence:
        """A second sequence that goes on from here; full blocks are shared, the begun one is copied.

        Raises CacheFull where there is no room for the copy.
        """
        child = Sequence(self.pools, self.codec, tuple(self.placed))
        for p in child.placed:
            p.piece.share()
        tail = self.tail
        if tail is None:
            return child
        whole = tail.length // BLOCK * BLOCK
        if whole:
            child.placed = (*child.placed, Placed(tail.seal(whole)))
        try:
            child.reserve(max(1, tail.length - whole))
        except BaseException:
            child.release()
            raise
        assert child.tail is not None
        self._move(tail, child.tail, whole)
        return child

    def crop(self, length: int) -> int:
        """Forget tokens from number `length` on. Returns the length kept: less where a block was encoded.

        What lies in sealed pieces goes by whole pieces. Raises CacheFull, changing nothing, where a begun
        block is others' too and there is no room for one of its own.
        """
        while self.tail is None or length < self.length - self.tail.length:
            if self.tail is not None:
                self.tail.release()
                self.tail = None
            if self.length <= length or not self.placed:
                return self.length
            *kept, last = self.placed
            self.placed = tuple(kept)
            last.piece.release()
        before = self.length - self.tail.length
        if length < self.length:
            inside = length - before
            begun = self.tail.length // BLOCK * BLOCK
            if self.tail.encodes and inside < begun:
                inside = inside // BLOCK * BLOCK
            held, self.tail.length = self.tail.length, inside
            if inside < self.tail.shared:  # what others hold is not to be written over
                try:
                    self._renew(self.tail.capacity - inside)
                except BaseException:
                    self.tail.length = held
                    raise
        return self.length

    def freeze(self) -> Piece:
        """All of the tail as a piece, its begun block too; the sequence goes on as it was.

        Raises CacheFull where the begun block has to be encoded and there is no room for that.
        """
        assert self.tail is not None
        return self.tail.seal_all()

    def place(self, placed: Placed) -> None:
        """Put a piece behind what is there; the tail must be empty. The sequence takes over one reference."""
        assert self.tail is None, "pieces come before the tail"
        self.placed = (*self.placed, placed)

    def dense(self, layer: int) -> tuple[Tensor, Tensor]:
        """All keys and values [Hkv, n, d] of a plain sequence's layer, in order."""
        shape = self.pools.shape
        parts = [segment.rows(shape.kv_heads, shape.dtype)[:2] for segment, _ in self.numbered(layer)]
        return torch.cat([k for k, _ in parts], 1), torch.cat([v for _, v in parts], 1)

    def replace(self, *pieces: Piece) -> None:
        """Let these pieces stand for all there is, as a policy decided; what they replace is released."""
        old, tail = self.placed, self.tail
        self.placed, self.tail = tuple(Placed(piece) for piece in pieces), None
        for p in old:
            p.piece.release()
        if tail is not None:
            tail.release()

    def release(self) -> None:
        """Give everything back. Idempotent."""
        for p in self.placed:
            p.piece.release()
        if self.tail is not None:
            self.tail.release()
        self.placed, self.tail = (), None

    def _renew(self, tokens: int) -> None:
        """A new tail with room for so many more tokens; full blocks of the old one become a piece."""
        old, shape = self.tail, self.pools.shape
        whole = old.length // BLOCK * BLOCK if old else 0
        over = (old.length if old else 0) - whole
        start = old.start + whole if old else self.position
        dense, coded = self.pools.of("dense"), self.pools.of(self.codec)
        tail = Tail(dense, coded, shape.layers, shape.kv_heads, over + tokens, start)
        if old is not None:
            self._move(old, tail, whole)
            if whole:
                self.placed = (*self.placed, Placed(old.seal(whole)))
            old.release()
        self.tail = tail

    def _move(self, old: Tail, new: Tail, since: int) -> None:
        count = old.length - since
        if count:
            for layer in range(self.pools.shape.layers):
                new.write(layer, 0, *old.rest(layer, since))
        new.length = count
