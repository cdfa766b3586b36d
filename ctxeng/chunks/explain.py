"""Why each candidate was taken or left: its scores, what it adds to the others, what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ctxeng.chunks.pool import Pool, Reward
from ctxeng.chunks.rewards.additive import Additive
from ctxeng.chunks.selector import Choice
from ctxeng.message import Value

_LINK = 0.1  # strength below which a link explains nothing


class Reason(Value):
    """One candidate. `gain` and `cost`: on top of those taken before it, or of all where it was left.

    `rank` counts from 1 by relevance; `scores` are the parts of its relevance; `linked_from` is the taken
    chunk that leads to it most strongly, "" where none does.
    """

    ref: str
    title: str = ""
    text: str
    taken: bool
    rank: int
    relevance: float
    gain: float
    cost: int
    scores: dict[str, float] = {}
    linked_from: str = ""
    why: str


@dataclass(frozen=True)
class Explanation:
    """The reasons, taken ones first in the order in which they were chosen, then the best of the rest."""

    reasons: tuple[Reason, ...]
    tokens: int
    spent: int
    reward: float
    calls: int
    note: str = ""


def explain(choice: Choice, tokens: int, reward: Reward | None = None) -> Explanation:
    """The choice in words and numbers; gains are by `reward`, without one by summed relevance."""
    pool, chosen = choice.pool, choice.selection.chosen
    worth = (reward or Additive()).on(pool)
    order = np.argsort(-pool.relevance, kind="stable")
    rank = {int(place): number for number, place in enumerate(order, 1)}
    reasons = []
    for count, place in enumerate(chosen):
        before = chosen[:count]
        gain = float(worth.extend(before)[place]) - worth.of(before)
        cost = int(pool.added(before)[place])
        reasons.append(_reason(pool, place, chosen, rank[place], gain, cost, "taken"))
    spent = pool.price(chosen)
    gains, costs, whole = worth.extend(chosen), pool.added(chosen), worth.of(chosen)
    for place in (int(place) for place in order if place not in set(chosen)):
        gain, cost = float(gains[place]) - whole, int(costs[place])
        why = _why_left(gain, cost, tokens - spent)
        reasons.append(_reason(pool, place, chosen, rank[place], gain, cost, why))
    selection = choice.selection
    note = "; ".join(each for each in (pool.note, selection.note) if each)
    return Explanation(tuple(reasons), tokens, spent, whole, selection.calls, note)


def _reason(
    pool: Pool, place: int, chosen: Sequence[int], rank: int, gain: float, cost: int, why: str
) -> Reason:
    chunk = pool.chunks[place]
    others = [other for other in chosen if other != place]
    source = ""
    if pool.links is not None and others:
        best = max(others, key=lambda other: pool.links[other, place])  # type: ignore[index] # not None above
        source = pool.chunks[best].id if pool.links[best, place] > _LINK else ""
    return Reason(
        ref=chunk.id,
        title=chunk.title,
        text=chunk.text,
        taken=place in chosen,
        rank=rank,
        relevance=float(pool.relevance[place]),
        gain=gain,
        cost=cost,
        scores={name: float(scores[place]) for name, scores in pool.details.items()},
        linked_from=source,
        why=why,
    )


def _why_left(gain: float, cost: int, left: int) -> str:
    if cost > left:
        return f"does not fit: {cost} tokens, {left} left"
    return "adds nothing" if gain <= 0 else "would fit; the selector stopped before it"
