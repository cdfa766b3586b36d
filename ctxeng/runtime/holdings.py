"""What an engine holds between runs: pools, stored prefixes, pieces read once, the rotation's tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from ctxeng.errors import CacheFull
from ctxeng.kv.piece import Piece, Placed
from ctxeng.kv.pieces import PieceStore
from ctxeng.kv.policy import Watch
from ctxeng.kv.pool import Budget
from ctxeng.kv.prefix import PrefixStore
from ctxeng.kv.sequence import Pools, Shape
from ctxeng.kv.sequence import Sequence as Cache
from ctxeng.runtime.decoder import Decoder
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.rope import Rotation
from ctxeng.runtime.tokenizer import Tokenizer

T = TypeVar("T")


class Holdings:
    """Belongs to an engine's loop: its methods are called there."""

    def __init__(
        self, decoder: Decoder, tokenizer: Tokenizer | None, memory: int, store: PrefixStore | None
    ) -> None:
        self.decoder, self.tokenizer = decoder, tokenizer
        shape = decoder.config
        cache = Shape(shape.layers, shape.kv_heads, shape.head_dim, decoder.embedding.dtype)
        self.pools = Pools(cache, Budget(memory))
        self.store = store if store is not None else PrefixStore()
        folder = self.store.folder
        self.pieces = PieceStore(self.pools, folder / "pieces" if folder is not None else None)
        self.identity = f"{decoder.fingerprint}|{tokenizer.fingerprint if tokenizer else ''}"
        self._rotation = Rotation.upto(shape.rope, min(shape.max_positions, 4096))

    def key(self, plan: CachePlan, length: int) -> str:
        """What must agree before blocks of one prompt may serve another."""
        rope = self.decoder.config.rope
        frozen = length if rope.by_length and length > rope.trained else 0
        return f"{self.identity}|{plan.codec}|{self.pools.shape.dtype}|{frozen}"

    def find(self, plan: CachePlan, key: str, ids: Sequence[int]) -> tuple[Placed, ...]:
        """What the prefix store has of these tokens; the caller holds it."""
        shape = self.pools.shape
        return self.store.find(key, ids, self.pools.of(plan.codec), (shape.layers, shape.kv_heads))

    def publish(self, key: str, sequence: Cache, ids: Sequence[int]) -> None:
        """Let later prompts find the full blocks of this sequence."""
        if sequence.plain:
            for first, blocks, pool in sequence.blocks():
                self.store.put(key, ids[: sequence.length], blocks, pool, first)

    def room(self, sequence: Cache, tokens: int) -> None:
        """Room for so many more tokens; what is only stored makes way. Raises CacheFull."""
        self.with_room(lambda: sequence.reserve(tokens))

    def freeze(self, sequence: Cache) -> Piece:
        """The sequence's tail as a piece. Raises CacheFull."""
        return self.with_room(sequence.freeze)

    def fork(self, sequence: Cache) -> Cache:
        """A second sequence that goes on from here. Raises CacheFull."""
        return self.with_room(sequence.fork)

    def thin(self, watcher: Watch, sequence: Cache) -> None:
        """Let a policy settle what is kept; for a moment old and new are held both. Raises CacheFull."""
        self.with_room(lambda: watcher.settle(sequence, self.pools))

    def with_room(self, work: Callable[[], T]) -> T:
        """Do what needs blocks; what is only stored makes way. Raises CacheFull."""
        while True:
            try:
                return work()
            except CacheFull:
                if not (self.pieces.shrink() or self.store.shrink()):
                    raise

    def rotation(self, length: int) -> Rotation:
        """Cos and sin for positions up to `length`; those of the request alone where they depend on it."""
        rope = self.decoder.config.rope
        if rope.by_length and length > rope.trained:
            return Rotation.upto(rope, length, length)
        if length > len(self._rotation.cos):
            self._rotation = Rotation.upto(rope, 2 * length)
        return self._rotation
