"""Bootstrap intervals of means, and of differences between two subjects on the same cases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1_000
COVERAGE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval, over `n` cases in `groups` independent groups."""

    mean: float
    low: float
    high: float
    n: int
    groups: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Difference:
    """Second less first on the cases that both have; `real` where the interval leaves zero out."""

    estimate: Estimate
    first: float
    second: float

    @property
    def real(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.estimate.low > 0 or self.estimate.high < 0


def mean_of(values: Sequence[float], groups: Sequence[str], seed: int = 0) -> Estimate | None:
    """The mean and its percentile bootstrap interval; groups are resampled whole. None without values.

    Cases of one record or session are no independent draws, so an interval over cases would be too narrow.
    """
    if not values:
        return None
    sums, counts = _by_group(values, groups)
    means = _resampled(sums, counts, seed)
    low, high = np.quantile(means, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    total = float(sums.sum() / counts.sum())
    return Estimate(total, min(float(low), total), max(float(high), total), len(values), len(sums))


def difference_of(
    pairs: Iterable[tuple[float, float]], groups: Sequence[str], seed: int = 0
) -> Difference | None:
    """The paired difference second - first with its interval. None without pairs."""
    both = list(pairs)
    found = mean_of([second - first for first, second in both], groups, seed)
    if found is None:
        return None
    first, second = (sum(pair[place] for pair in both) / len(both) for place in (0, 1))
    return Difference(found, first, second)


def _by_group(
    values: Sequence[float], groups: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums and counts, each (G,)."""
    data = np.asarray(values, dtype=np.float64)
    if len(set(groups)) == len(data):
        return data, np.ones(len(data))
    places: dict[str, int] = {}
    index = np.fromiter((places.setdefault(g, len(places)) for g in groups), dtype=np.int64)
    sums: NDArray[np.float64] = np.bincount(index, weights=data).astype(np.float64)
    return sums, np.bincount(index).astype(np.float64)


def _resampled(sums: NDArray[np.float64], counts: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Means of the resamples, (RESAMPLES,); one at a time, since all of them at once would take n x 8 kB."""
    draw = np.random.default_rng(seed)
    size = len(sums)
    means = np.empty(RESAMPLES)
    for row in range(RESAMPLES):
        drawn = draw.integers(0, size, size)
        means[row] = sums[drawn].sum() / counts[drawn].sum()
    return means
