"""Eviction: score the rows when the prompt is read, divide the budget, keep the best, free the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from ctxeng.errors import BadInput
from ctxeng.kv.piece import ragged
from ctxeng.kv.policy import Even, Evidence, Scorer, Split
from ctxeng.kv.sequence import Pools, Sequence, Shape
from ctxeng_kernels.score import column_sums
from ctxeng_kernels.segment import Segment


@dataclass(frozen=True)
class Evict:
    """Keep at most `budget` rows a head on average (below 1: that share of the prompt).

    The first `sinks` and the last `recent` tokens stay whatever their score. With `every`, it is done again
    after so many generated tokens. Raises BadInput for a budget that does not hold what must stay.
    """

    scorer: Scorer
    budget: float
    split: Split = Even()
    sinks: int = 4
    recent: int = 32
    every: int = 0

    def __post_init__(self) -> None:
        if self.budget <= 0 or (self.budget >= 1 and self.budget < self.sinks + self.recent + 1):
            raise BadInput(
                f"a budget of {self.budget:g} rows must exceed the {self.sinks} first and {self.recent} last"
            )

    @property
    def rows(self) -> int | None:
        """Queries at the prompt's end it has to see."""
        return None if self.scorer.columns else self.scorer.rows

    @property
    def destroys(self) -> bool:
        """Rows are given up for good."""
        return True

    def watch(self, shape: Shape) -> Evicting:
        """Begin on a new sequence."""
        return Evicting(self, shape)

    def choose(self, evidence: list[Evidence]) -> list[list[Tensor]]:
        """Row numbers to keep, rising, by layer and head."""
        scores = [self._guarded(e, self.scorer.score(e)) for e in evidence]
        tokens = max(e.tokens for e in evidence)
        budget = int(self.budget) if self.budget >= 1 else int(self.budget * tokens)
        budget = max(budget, min(tokens, self.sinks + self.recent + 1))
        counts = self.split.split(budget, scores)
        return [
            [_best(row, count) for row, count in zip(layer, by_head, strict=True)]
            for layer, by_head in zip(scores, counts, strict=True)
        ]

    def _guarded(self, evidence: Evidence, scores: Tensor) -> Tensor:
        """Scores with what must stay at +inf and rows that are none at -inf."""
        numbers = evidence.numbers
        last = int(numbers.max())
        stay = (numbers < self.sinks) | (numbers > last - self.recent)
        return scores.masked_fill(stay, torch.inf).masked_fill(numbers < 0, -torch.inf)


def _best(row: Tensor, count: int) -> Tensor:
    """Places of the `count` highest scores, rising; never one that is no row; the earlier of two equals."""
    count = min(count, int((row > -torch.inf).sum()))
    return row.argsort(descending=True, stable=True)[:count].sort().values


class Choosing(Protocol):
    """A policy that keeps some rows of each head."""

    @property
    def scorer(self) -> Scorer:
        """What has to be kept of queries and attention."""
        ...

    @property
    def every(self) -> int:
        """Thin again after so many tokens; 0: once."""
        ...

    def choose(self, evidence: list[Evidence]) -> list[list[Tensor]]:
        """Row numbers to keep, rising, by layer and head."""
        ...


@dataclass
class Evicting:
    """One eviction at work: the last queries, and attention sums where they are asked for."""

    policy: Choosing
    shape: Shape
    _queries: dict[int, Tensor] = field(default_factory=dict)
    _columns: dict[int, Tensor] = field(default_factory=dict)
    _settled: int = 0  # tokens when it was last thinned

    def select(self, layer: int, q: Tensor, segments: list[Segment]) -> list[Segment]:
        """Everything that is left."""
        del layer, q
        return segments

    def seen(self, layer: int, q: Tensor, segments: list[Segment], lse: Tensor) -> None:
        """Keep the last queries; add up what each row was given."""
        rows = self.policy.scorer.rows
        if rows:
            before = self._queries.get(layer)
            joined = q if before is None else torch.cat((before, q), 1)
            self._queries[layer] = joined[:, -rows:].clone()
        if self.policy.scorer.columns:
            sums = column_sums(q, segments, self.shape.kv_heads, lse)
            before = self._columns.get(layer)
            if before is not None:
                sums[:, : before.shape[1]] += before
            self._columns[layer] = sums

    def crop(self, rows: int, gone: int) -> None:
        """What the forgotten queries asked, and what the forgotten rows were given, is forgotten, too."""
        del rows
        self._queries = {layer: q[:, : max(0, q.shape[1] - gone)] for layer, q in self._queries.items()}
        self._columns = {n: sums[:, : max(0, sums.shape[1] - gone)] for n, sums in self._columns.items()}

    def settle(self, sequence: Sequence, pools: Pools) -> None:
        """Thin the cache: once when the prompt is read, and again after `every` tokens where asked for."""
        grown = sequence.length - self._settled
        if self._settled and (not self.policy.every or grown < self.policy.every):
            return
        if any(p.turn is not None or p.apart for p in sequence.placed):
            raise BadInput("a policy that drops rows needs a plain sequence: no parallel or moved parts")
        evidence = [self._evidence(layer, sequence) for layer in range(self.shape.layers)]
        keep = self.policy.choose(evidence)
        rows = [
            ([e.keys[h, k] for h, k in enumerate(kept)], [e.values[h, k] for h, k in enumerate(kept)])
            for e, kept in zip(evidence, keep, strict=True)
        ]
        index = [
            [e.numbers[h, k] for h, k in enumerate(kept)] for e, kept in zip(evidence, keep, strict=True)
        ]
        piece = ragged(pools.of(sequence.codec), rows, index, sequence.length, sequence.start)
        for layer, columns in self._columns.items():
            self._columns[layer] = _moved(columns, keep[layer], piece.segments[layer])
        sequence.replace(piece)
        self._settled = sequence.length

    def _evidence(self, layer: int, sequence: Sequence) -> Evidence:
        parts, numbers = [], []
        for segment, number in sequence.numbered(layer):
            k, v, live = segment.rows(self.shape.kv_heads, self.shape.dtype)
            parts.append((k, v))
            numbers.append(number if live is None else number.masked_fill(~live, -1))
        keys, values = (torch.cat(x, 1) for x in zip(*parts, strict=True))
        return Evidence(
            layer,
            self.shape.layers,
            keys,
            values,
            torch.cat(numbers, 1),
            self._queries.get(layer, keys[:0, :0]),
            self._columns.get(layer),
        )


def _moved(columns: Tensor, keep: list[Tensor], segment: Segment) -> Tensor:
    """Sums of the kept rows, at the rows' new places."""
    places = segment.positions
    assert isinstance(places, Tensor)
    found = columns.new_zeros(places.shape)
    for head, kept in enumerate(keep):
        found[head, : len(kept)] = columns[head, kept]
    return found
