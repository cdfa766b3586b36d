"""The worth of a set as a set: what it covers of the query, and which of its chunks lead to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ctxeng.chunks.pool import Floats, Pool
from ctxeng.errors import BadInput


@dataclass(frozen=True)
class Coverage:
    """A weighted sum of four parts; the fields are the weights. What a pool does not know counts as 0.

    `aspects`: of each part of the query, how well the best chunk covers it, weighted by what it counts.
    `relevance`: the sum of relevance, less `floor` for each chunk. `bridging`: for each chunk, the strongest
    link from another chosen one, times that one's relevance; multi-hop questions need what is reached so.
    `redundancy` times the mean similarity of two chosen chunks is taken off. It only breaks ties: gold
    passages resemble each other, and weighting it loses them.
    """

    aspects: float = 1.5
    relevance: float = 1.0
    bridging: float = 0.8
    redundancy: float = 0.01
    floor: float = 0.0

    def __post_init__(self) -> None:
        for name in ("aspects", "relevance", "bridging", "redundancy"):
            if getattr(self, name) < 0:
                raise BadInput(f"the weight of {name} is {getattr(self, name)}, it must be at least 0")

    def on(self, pool: Pool) -> CoverageWorth:
        """The rule applied to this pool. Raises BadInput for aspects without weights."""
        values = self.relevance * (np.asarray(pool.relevance, dtype=np.float64) - self.floor)
        size = len(pool)
        aspects, weights = np.zeros((size, 0)), np.zeros(0)
        if pool.aspects is not None:
            if pool.weights is None:
                raise BadInput("the pool has aspects but no weights: say what each part of the query counts")
            aspects, weights = pool.aspects, self.aspects * pool.weights
        links = alike = None
        if pool.links is not None and self.bridging:
            links = self.bridging * pool.links * pool.relevance[:, None]
            np.fill_diagonal(links, 0.0)
        if pool.vectors is not None and self.redundancy:
            alike = self.redundancy * np.asarray(pool.vectors @ pool.vectors.T, dtype=np.float64)
            np.fill_diagonal(alike, 0.0)
        return CoverageWorth(values, aspects, weights, links, alike)


@dataclass(frozen=True, eq=False)
class CoverageWorth:
    """Coverage of one pool; links (N, N) and likenesses (N, N) have zeros on the diagonal."""

    values: Floats  # (N,)
    aspects: Floats  # (N, A)
    weights: Floats  # (A,)
    links: Floats | None = None
    alike: Floats | None = None
    ordered: bool = False

    def of(self, chosen: Sequence[int]) -> float:
        """The worth of this set."""
        if not len(chosen):
            return 0.0
        places = np.asarray(chosen, dtype=np.int64)
        worth = float(self.values[places].sum() + self.aspects[places].max(axis=0) @ self.weights)
        if self.links is not None:
            worth += float(self.links[np.ix_(places, places)].max(axis=0).sum())
        if self.alike is not None:
            worth -= float(self.alike[np.ix_(places, places)].sum()) / max(1, len(places) * (len(places) - 1))
        return worth

    def extend(self, chosen: Sequence[int]) -> Floats:
        """(N,): the worth with each chunk added."""
        if not len(chosen):
            alone: Floats = self.values + self.aspects @ self.weights
            return alone
        places = np.asarray(chosen, dtype=np.int64)
        aspects = self.aspects.shape[1]
        gives, takes, rows = self._laid_out
        # ufunc.reduce and take spare the wrappers of max(), sum() and indexing, most of the time at this size
        reached = np.maximum.reduce(gives.take(places, axis=0), axis=0)  # (A + N,): by the set as it is
        counted = np.concatenate((rows, places + aspects))  # every aspect, and the links to the members
        grown = takes.take(counted, axis=0)  # (A + m, N): what each chunk would give to them
        np.maximum(grown, reached.take(counted)[:, None], out=grown)
        worth: Floats = np.add.reduce(grown, axis=0)
        worth += reached[aspects:]  # the strongest link from the set to the one that is added
        worth += self.values
        same = sum(map(self._numbers.__getitem__, chosen))
        if self.alike is not None:
            share = 2 / (len(places) * (len(places) + 1))  # one pair of those in the set that is extended
            near = np.add.reduce(self.alike.take(places, axis=0), axis=0)  # (N,): to all in the set together
            same -= float(np.add.reduce(near.take(places))) / 2 * share
            near *= share
            worth -= near
        worth += same
        return worth

    @cached_property
    def _numbers(self) -> list[float]:
        numbers: list[float] = self.values.tolist()
        return numbers

    @cached_property
    def _laid_out(self) -> tuple[Floats, Floats, NDArray[np.int64]]:
        """Weighted aspects and links side by side: by who gives (N, A + N), by who takes (A + N, N); rows.

        Both are the best of a set's members, summed: over aspects for the one, over members for the other.
        """
        links = np.zeros((len(self.values),) * 2) if self.links is None else self.links
        gives = np.hstack([self.aspects * self.weights, links])
        return gives, np.ascontiguousarray(gives.T), np.arange(self.aspects.shape[1])
