"""The order in which chosen chunks stand in the window: as found, best at both ends, as in the sources."""

from __future__ import annotations

from collections.abc import Callable

from ctxeng.chunks.pool import Chosen, Pool
from ctxeng.errors import UnknownName

Group = list[int]  # the chosen chunks of one group, best first


def arrange(pool: Pool, chosen: Chosen, how: str) -> Chosen:
    """The chosen chunks in the order named: "found", "ends" or "source".

    The chunks of one group stay next to each other, since a frame is shared by neighbours only and was paid
    once. A group's rank is that of its best chunk; the rank of a chunk is its place in `chosen`. Raises
    UnknownName for another order.
    """
    if how not in ORDERS:
        raise UnknownName("order", how, list(ORDERS))
    groups: dict[int, Group] = {}
    for place in chosen:
        groups.setdefault(int(pool.groups[place]), []).append(place)
    return tuple(place for group in ORDERS[how](pool, list(groups.values())) for place in group)


def _found(_: Pool, groups: list[Group]) -> list[Group]:
    """Best first: groups by rank, inside a group by rank."""
    return groups


def _ends(pool: Pool, groups: list[Group]) -> list[Group]:
    """Rank 1 first, rank 2 last, rank 3 second, the weakest in the middle; inside a group as in the source.

    Long-Context LLMs Meet RAG (2024), retrieval reordering: models read the middle of a window worst.
    """
    read = _key(pool)
    inside = [sorted(group, key=read) for group in groups]
    return [*inside[::2], *reversed(inside[1::2])]


def _source(pool: Pool, groups: list[Group]) -> list[Group]:
    """As the documents read: groups by their first chunk, inside a group the same."""
    read = _key(pool)
    return sorted((sorted(group, key=read) for group in groups), key=lambda group: read(group[0]))


def _key(pool: Pool) -> Callable[[int], tuple[int, int, int]]:
    """Reading order: sources as they first appear in the pool, then offsets, then places.

    The pool and not the choice says which source comes first, so that equal sets give equal prompts.
    """
    first: dict[str, int] = {}
    for place, chunk in enumerate(pool.chunks):
        first.setdefault(chunk.source, place)
    return lambda place: (first[pool.chunks[place].source], pool.chunks[place].start, place)


ORDERS: dict[str, Callable[[Pool, list[Group]], list[Group]]] = {
    "found": _found,
    "ends": _ends,
    "source": _source,
}
