"""Squeezed Attention (Hooper et al. 2024): of a fixed context, a step reads the clusters that matter to it.

Best for what comes first and is asked about often: the playbook, the tools, a system text.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from ctxeng.errors import BadInput
from ctxeng.kv.methods.squeezed_index import Clusters, Index
from ctxeng.kv.sequence import Pools, Sequence, Shape
from ctxeng_kernels.pack import BLOCK
from ctxeng_kernels.segment import Rows, Segment, Span


@dataclass(frozen=True)
class Squeezed:
    """Squeeze the first `fixed` tokens (0: the whole blocks of what is read first); the rest is read whole.

    Clusters are `share` of the fixed keys, and `coarse` of them stand above; the threshold lets the share
    1 - `quantile` of the keys through, as the last `calibrate` queries of the fixed context have it. `reach`
    coarse clusters are looked into. Without an `index` one is built when the context was read. What is fixed
    has to lie in one run of dense blocks, else everything is read. Raises BadInput.
    """

    fixed: int = 0
    quantile: float = 0.9
    share: float = 0.05
    coarse: float = 0.01
    calibrate: int = 100
    reach: int = 1 << 30
    seed: int = 0
    index: Index | None = None

    def __post_init__(self) -> None:
        if self.fixed < 0 or not 0 <= self.quantile < 1 or not 0 < self.share <= 1:
            raise BadInput("Squeezed Attention needs fixed >= 0, 0 <= quantile < 1 and 0 < share <= 1")

    @property
    def rows(self) -> int | None:
        """All queries of the context, to calibrate by; none where an index is there."""
        return None if self.index is None else 0

    @property
    def destroys(self) -> bool:
        """It only chooses what is read."""
        return False

    def watch(self, shape: Shape) -> Squeezing:
        """Begin on a new sequence."""
        return Squeezing(self, shape, self.index)


@dataclass
class Squeezing:
    """One Squeezed Attention at work."""

    policy: Squeezed
    shape: Shape
    index: Index | None = None
    _queries: dict[int, Tensor] = field(default_factory=dict)
    _seen: dict[int, int] = field(default_factory=dict)

    def select(self, layer: int, q: Tensor, segments: list[Segment]) -> list[Segment]:
        """Of the fixed rows those of clusters above the threshold; only for single queries, with an index."""
        if self.index is None or q.shape[1] > 1 or not isinstance(segments[0].where, Span):
            return segments
        first, fixed = segments[0], self.index.layers[layer].labels.shape[1]
        span = first.where
        assert isinstance(span, Span)
        if first.codec != "dense" or span.length < fixed:
            return segments
        clusters = self.index.layers[layer]
        chosen = clusters.scores(first.facing(q), reach=self.policy.reach) >= self.index.threshold
        picked = chosen.gather(1, clusters.labels)
        picked = torch.cat((picked, picked.new_ones(len(picked), span.length - fixed)), 1)
        order, live = packed(picked)
        heads = torch.arange(len(picked)).unsqueeze(1) * span.stride * BLOCK
        where = Rows(span.first * BLOCK + heads + order, live)
        read = replace(first, where=where, positions=first.positions + order, causal=False)
        return [read, *segments[1:]]

    def seen(self, layer: int, q: Tensor, segments: list[Segment], lse: Tensor) -> None:
        """Keep the last queries of the fixed context."""
        del segments, lse
        start = self._seen.get(layer, 0)
        self._seen[layer] = start + q.shape[1]
        own = q[:, : max(0, self.policy.fixed - start)] if self.policy.fixed else q
        if self.index is None and own.shape[1]:
            before = self._queries.get(layer, own[:, :0])
            self._queries[layer] = torch.cat((before, own), 1)[:, -self.policy.calibrate :].clone()

    def crop(self, rows: int, gone: int) -> None:
        """An index of rows that are there no more is none; it is built again when they are read anew."""
        if self.index is not self.policy.index and self.index is not None:
            fixed = self.index.layers[0].labels.shape[1]
            self.index = self.index if fixed <= rows else None
        self._queries = {layer: q[:, : max(0, q.shape[1] - gone)] for layer, q in self._queries.items()}
        self._seen = {layer: min(seen, rows) for layer, seen in self._seen.items()}

    def settle(self, sequence: Sequence, pools: Pools) -> None:
        """Build the index when the fixed context has been read."""
        del pools
        if self.index is None and sequence.length >= (self.policy.fixed or BLOCK):
            self.index = self.build(sequence)

    def keep(self, path: Path, name: str) -> None:
        """Write the index."""
        if self.index is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace(self.index, name=name).write(path)

    def recall(self, path: Path, name: str) -> bool:
        """Read the index of that very context."""
        try:
            self.index = Index.read(path, name)
        except BadInput:
            return False
        return True

    def build(self, sequence: Sequence, name: str = "") -> Index:
        """Clusters of every layer, and the threshold that the last queries of the context calibrate."""
        layers, weights = [], []
        policy = self.policy
        for layer in range(self.shape.layers):
            keys = sequence.dense(layer)[0]
            keys = keys[:, : policy.fixed or keys.shape[1] // BLOCK * BLOCK]
            made = Clusters.of(keys, policy.share, policy.coarse, policy.seed)
            layers.append(made)
            queries = self._queries[layer].split(1, 1)
            weights += [made.scores(q, reach=policy.reach).gather(1, made.labels) for q in queries]
        spread = torch.cat([w.flatten() for w in weights]).sort().values
        threshold = float(spread[int(policy.quantile * (len(spread) - 1))]) if policy.quantile else 0.0
        return Index(name, tuple(layers), threshold)


def packed(picked: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers of the rows picked in each head, at the left [Hkv, m], and which of them count."""
    width = int(picked.sum(1).max())
    order = picked.int().argsort(dim=1, descending=True, stable=True)[:, :width]
    return order, picked.gather(1, order)
