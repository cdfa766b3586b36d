"""A connected set of statements to fit a budget: cut at its rim where it says least, or grown from it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

from ctxeng.chunks.graph.joints import Joints

Price = Callable[[int], int]  # tokens of the statement at this place

_STEP = 0.9  # what a statement counts that is one step farther from the first ones


def cut(
    chosen: Collection[int],
    joins: Sequence[Sequence[int]],
    worth: Mapping[int, float],
    price: Price,
    tokens: int,
) -> tuple[int, ...]:
    """Those statements that stay, ascending: connected through shared entities, at most `tokens` together.

    `joins` has the entities of each statement, `worth` what a statement is worth (0 where it says nothing).
    A statement that exceeds the budget by itself goes even where others hang on it; then the part of the
    rest that is worth most stays.
    """
    prices = {place: price(place) for place in chosen}
    left = _best_part({place for place in chosen if prices[place] <= tokens}, joins, worth)
    while sum(prices[place] for place in left) > tokens:
        rim = [place for place in left if len(parts(left - {place}, joins)) == 1]
        left.discard(min(rim, key=lambda place: (worth.get(place, 0.0) / max(1, prices[place]), -place)))
    return tuple(sorted(left))


def grown(
    chosen: Collection[int], joints: Joints, worth: NDArray[np.float32], price: Price, tokens: int
) -> tuple[int, ...]:
    """The statements, ascending, with further ones that touch them, as long as one fits.

    `worth` is (M,) for the M statements that may be added; what is worth nothing is not. Each is ranked
    among the others of the entity that it is reached through: the second fact of a chain is seldom alike the
    question, but more so than what else is said of its subject. A tenth less a step away, so that what is
    near comes first.
    """
    taken, left = set(chosen), tokens - sum(map(price, chosen))
    near: list[tuple[float, int, float]] = []
    reached: set[int] = set()

    def reach(place: int, share: float) -> None:
        for entity in joints.ends[place]:
            if entity in reached:
                continue
            reached.add(entity)
            others = [each for each in joints.around[entity] if each < len(worth) and each not in taken]
            best = max((float(worth[each]) for each in others), default=0.0)
            for other in others:
                if worth[other] > 0:
                    heappush(near, (-share * float(worth[other]) / best, other, share))

    for place in sorted(chosen):
        reach(place, 1.0)
    while near:
        _, place, share = heappop(near)
        if place not in taken and price(place) <= left:
            taken.add(place)
            left -= price(place)
            reach(place, share * _STEP)
    return tuple(sorted(taken))


def parts(chosen: Collection[int], joins: Sequence[Sequence[int]]) -> list[set[int]]:
    """The statements by connected parts, in the order of their first ones."""
    holders: dict[int, list[int]] = {}
    for place in sorted(chosen):
        for entity in joins[place]:
            holders.setdefault(entity, []).append(place)
    found: list[set[int]] = []
    left = set(chosen)
    while left:
        part: set[int] = set()
        stack = [min(left)]
        while stack:
            place = stack.pop()
            if place in part:
                continue
            part.add(place)
            stack += [other for entity in joins[place] for other in holders.pop(entity, ())]
        found.append(part)
        left -= part
    return found


def _best_part(
    chosen: Collection[int], joins: Sequence[Sequence[int]], worth: Mapping[int, float]
) -> set[int]:
    return max(
        parts(chosen, joins), key=lambda part: sum(worth.get(place, 0.0) for place in part), default=set()
    )
