"""Policies: the published methods that decide which rows a cache keeps, or which of them a step reads."""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import Tensor

from ctxeng.kv.sequence import Pools, Sequence, Shape
from ctxeng_kernels.segment import Segment


class Watch(Protocol):
    """One policy at work on one sequence: sees queries pass, then settles what is kept."""

    def select(self, layer: int, q: Tensor, segments: list[Segment]) -> list[Segment]:
        """What of the segments these queries [Hq, T, d] shall read."""
        ...

    def seen(self, layer: int, q: Tensor, segments: list[Segment], lse: Tensor) -> None:
        """The queries were answered with log-sum-exps [Hq, T]."""
        ...

    def settle(self, sequence: Sequence, pools: Pools) -> None:
        """The prompt is in the cache, or a pass of generation is over: thin it, if that is the policy."""
        ...


@runtime_checkable
class Forgets(Protocol):
    """A policy at work that remembers something of the rows it saw, and forgets those that are cropped."""

    def crop(self, rows: int, gone: int) -> None:
        """The sequence has so many rows left; the last `gone` were forgotten."""
        ...


@runtime_checkable
class Keeps(Protocol):
    """A policy at work that made something of what it read, which outlives the process."""

    def keep(self, path: Path, name: str) -> None:
        """Write it; `name` says what of."""
        ...

    def recall(self, path: Path, name: str) -> bool:
        """Read it; false where there is none of that name."""
        ...


class Policy(Protocol):
    """A frozen dataclass whose fields are the method's parameters."""

    @property
    def rows(self) -> int | None:
        """Queries at the prompt's end it has to see; None: all of them, so that no stored prefix will do."""
        ...

    @property
    def destroys(self) -> bool:
        """Whether rows are given up for good (else each step chooses what it reads)."""
        ...

    def watch(self, shape: Shape) -> Watch:
        """Begin on a new sequence."""
        ...


@dataclass(frozen=True)
class Evidence:
    """What a policy knows of one layer when it settles.

    keys and values [Hkv, n, d], rotated; `numbers` [Hkv, n]: which token each row is (the same for all heads
    unless rows were dropped before; -1: no row); `queries` [Hq, w, d]: the last ones, rotated; `columns`
    [Hkv, n]: attention each row got from all queries, summed over the group, where the policy asked for it.
    """

    layer: int
    layers: int
    keys: Tensor
    values: Tensor
    numbers: Tensor
    queries: Tensor
    columns: Tensor | None

    @property
    def tokens(self) -> int:
        """Rows of the longest head."""
        return int(self.keys.shape[1])


class Scorer(Protocol):
    """How much each row is worth."""

    @property
    def rows(self) -> int:
        """Queries at the prompt's end it has to see."""
        ...

    @property
    def columns(self) -> bool:
        """Whether it needs the attention that rows got from every query."""
        ...

    def score(self, evidence: Evidence) -> Tensor:
        """[Hkv, n]: higher is kept sooner."""
        ...


class Split(Protocol):
    """How a budget is divided over layers and heads."""

    def split(self, budget: int, scores: Many[Tensor]) -> list[list[int]]:
        """Rows to keep by layer and head, at most `budget` a head on average; scores [Hkv, n] by layer."""
        ...


@dataclass(frozen=True)
class Even:
    """The same for every layer and head."""

    def split(self, budget: int, scores: Many[Tensor]) -> list[list[int]]:
        """`budget` each."""
        return [[min(budget, s.shape[1])] * len(s) for s in scores]
