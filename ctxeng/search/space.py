"""What a tree search searches: states made of moves, extended and scored many at a time."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Move = TypeVar("Move", bound=Hashable)
Floats = NDArray[np.float64]


class Extension(NamedTuple, Generic[Move]):
    """What may follow a state: K feasible moves, and what is known of the states they lead to.

    `rewards` (K,) are on any scale on which the empty state is worth 0; `costs` (K,) are shares of the
    budget, 0 to 1. `last` (K,) marks children that surely have none of their own, where the space can tell:
    the search then need not look.
    """

    moves: Sequence[Move]
    rewards: Floats
    costs: Floats
    last: NDArray[np.bool_] | None = None


class Space(Protocol[Move]):
    """Something to search in. A state is the tuple of the moves that lead to it from the empty one."""

    def extend(self, state: tuple[Move, ...]) -> Extension[Move]:
        """The state's children, all scored at once; no moves where nothing feasible is left."""
        ...


@runtime_checkable
class Keyed(Protocol):
    """A space in which different states can be the same, as sets are whatever their order."""

    def key(self, state: tuple[Any, ...]) -> Hashable:
        """Equal for states that have equal rewards, moves and futures; they are then extended once."""
        ...
