"""Knapsack: the highest summed relevance under the budget, by dynamic programming over tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctxeng.chunks.pool import Floats, Pool, Selection
from ctxeng.chunks.selectors.top_k import descending, fill, valued
from ctxeng.errors import BadInput

Bits = NDArray[np.bool_]


@dataclass(frozen=True)
class Knapsack:
    """Exact up to a budget of `cells` tokens: for each group nothing, or its frame and any of its chunks.

    A larger budget is counted in units of ceil(budget / cells) tokens and every cost is rounded up to whole
    units, so that the set never costs more than the budget; what rounding leaves over is filled by
    relevance. Time and memory are chunks * cells. Chunks of no relevance are left out.
    """

    cells: int = 8_192

    def __post_init__(self) -> None:
        if self.cells < 1:
            raise BadInput(f"knapsack: cells is {self.cells}; give 1 or more")

    def select(self, pool: Pool, tokens: int) -> Selection:
        """The set, by relevance; the reward is its summed relevance."""
        ranked = descending(pool.relevance)
        useful = ranked[pool.relevance[ranked] > 0].tolist()
        if pool.price(useful) <= tokens:
            return valued(pool, tuple(useful))
        if tokens <= 0:
            return Selection(())
        unit = -(-tokens // self.cells)
        best = set(_Table(pool, useful, tokens, unit).best())
        first = [place for place in useful if place in best]
        rest = [place for place in useful if place not in best]
        chosen = set(fill(pool, [*first, *rest], tokens))  # the set fits by itself, so all of it stays
        note = f"costs were rounded up to units of {unit} tokens" if unit > 1 else ""
        return valued(pool, tuple(place for place in useful if place in chosen), note)


class _Table:
    """The programme's table: which chunks and groups the best set of each number of units takes."""

    def __init__(self, pool: Pool, places: list[int], tokens: int, unit: int) -> None:
        self.values = pool.relevance
        self.costs = -(-pool.costs // unit)
        self.frames = -(-pool.frames // unit)
        self.worth: Floats = np.zeros(tokens // unit + 1)  # the best sum at a cost of at most so many units
        self.steps: list[tuple[int, Bits, list[tuple[int, Bits]]]] = []  # (group, opened, [(chunk, taken)])
        members: dict[int, list[int]] = {}
        for place in places:
            members.setdefault(int(pool.groups[place]), []).append(place)
        for group, inside in members.items():
            self._group(group, inside)

    def _group(self, group: int, places: list[int]) -> None:
        opened = _shifted(self.worth, int(self.frames[group]))
        taken: list[tuple[int, Bits]] = []
        for place in places:
            more = _shifted(opened, int(self.costs[place])) + self.values[place]
            taken.append((place, more > opened))
            opened = np.maximum(opened, more)
        self.steps.append((group, opened > self.worth, taken))
        self.worth = np.maximum(self.worth, opened)

    def best(self) -> list[int]:
        """The chunks of the best set; of equal ones, one that needs the fewest units."""
        chosen, units = [], int(np.argmax(self.worth))
        for group, opened, taken in reversed(self.steps):
            if not opened[units]:
                continue
            for place, takes in reversed(taken):
                if takes[units]:
                    chosen.append(place)
                    units -= int(self.costs[place])
            units -= int(self.frames[group])
        return chosen


def _shifted(worth: Floats, units: int) -> Floats:
    """What the same sets are worth with `units` fewer to spend; minus infinity where that is too few."""
    moved = np.full_like(worth, -np.inf)
    moved[units:] = worth[: max(0, len(worth) - units)]
    return moved
