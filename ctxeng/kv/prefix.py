"""Blocks of prompts seen before, found again by the hash of all tokens up to their end."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ctxeng.kv.piece import Placed, sealed
from ctxeng.kv.pool import Ids, Pool
from ctxeng.kv.shelf import load_block, save_block
from ctxeng_kernels.pack import BLOCK


@dataclass
class _Node:
    """One stored block: its blocks in the pool [layers, Hkv], what it follows, when it was last of use."""

    ids: Ids
    depth: int
    used: int


@dataclass
class PrefixStore:
    """Stored blocks by chained hash. With a folder, blocks are also kept on disk and found there again.

    `limit` caps the blocks (of 64 tokens) held in memory; 0: only the cache's cap counts. Not thread-safe: it
    belongs to an engine's loop.
    """

    folder: Path | None = None
    limit: int = 0
    refused: list[str] = field(default_factory=list)  # files that were corrupt or of another model
    _nodes: dict[str, _Node] = field(default_factory=dict)
    _pools: dict[str, Pool] = field(default_factory=dict)
    _clock: itertools.count[int] = field(default_factory=itertools.count, repr=False)

    def __len__(self) -> int:
        """Blocks in memory."""
        return len(self._nodes)

    def find(self, key: str, tokens: Sequence[int], pool: Pool, shape: tuple[int, int]) -> tuple[Placed, ...]:
        """What is stored of these tokens from their start, in whole blocks; the caller holds a reference.

        `key` tells apart what must not be mixed; `shape` is (layers, KV heads).
        """
        found: list[Ids] = []
        now = next(self._clock)
        for name in chain(key, tokens):
            node = self._nodes.get(name) or self._from_disk(name, len(found), pool, shape)
            if node is None:
                break
            node.used = now
            found.append(node.ids)
        if not found:
            return ()
        ids = np.stack(found, -1)
        return (Placed(sealed(pool, ids, len(found) * BLOCK, 0)),)

    def put(self, key: str, tokens: Sequence[int], ids: Ids, pool: Pool, first: int = 0) -> None:
        """Keep blocks ids [layers, Hkv, n] of these tokens; the first of them is block number `first`.

        Blocks that are there already stay as they are.
        """
        now = next(self._clock)
        for number, name in enumerate(chain(key, tokens)):
            at = number - first
            if at >= ids.shape[-1]:
                break
            if name in self._nodes:
                self._nodes[name].used = now
            elif at >= 0:
                pool.share(ids[..., at].ravel())
                self._nodes[name] = _Node(ids[..., at].copy(), number, now)
                self._pools[name] = pool
        while self.limit and len(self._nodes) > self.limit:
            self._drop(self._oldest())

    def shrink(self) -> bool:
        """Drop the block that was of no use for longest; false where there is none."""
        if not self._nodes:
            return False
        self._drop(self._oldest())
        return True

    def persist(self) -> int:
        """Write what is not on disk yet; the number of files written. Nothing without a folder."""
        return sum(self._to_disk(name) for name in list(self._nodes))

    def clear(self) -> None:
        """Write what the folder lacks, and give all blocks back."""
        self.persist()
        for name in list(self._nodes):
            self._drop(name, write=False)

    def _oldest(self) -> str:
        return min(self._nodes, key=lambda name: (self._nodes[name].used, -self._nodes[name].depth))

    def _drop(self, name: str, *, write: bool = True) -> None:
        if write:
            self._to_disk(name)
        node, pool = self._nodes.pop(name), self._pools.pop(name)
        pool.give(node.ids.ravel())

    def _to_disk(self, name: str) -> bool:
        if self.folder is None:
            return False
        node, pool = self._nodes[name], self._pools[name]
        return save_block(self.folder / f"{name}.safetensors", name, pool, node.ids)

    def _from_disk(self, name: str, depth: int, pool: Pool, shape: tuple[int, int]) -> _Node | None:
        if self.folder is None:
            return None
        path = self.folder / f"{name}.safetensors"
        if not path.exists():
            return None
        try:
            ids = load_block(path, name, pool, shape)
        except ValueError as error:
            self.refused.append(str(error))
            return None
        node = self._nodes[name] = _Node(ids, depth, 0)
        self._pools[name] = pool
        return node


def chain(key: str, tokens: Sequence[int]) -> list[str]:
    """A name for each whole block: the hash of the key and of all tokens up to the block's end."""
    found, before = [], hashlib.sha256(key.encode()).digest()
    for start in range(0, len(tokens) - BLOCK + 1, BLOCK):
        block = np.asarray(tokens[start : start + BLOCK], np.int64).tobytes()
        before = hashlib.sha256(before + block).digest()
        found.append(before.hex())
    return found
