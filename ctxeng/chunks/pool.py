"""What chunks are chosen from, and the two seams of choosing: rewards and selectors. Read first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ctxeng.turn import Chunk

Floats = NDArray[np.float64]
Chosen = tuple[int, ...]  # places in the pool, in the order in which they were chosen


@dataclass(frozen=True)
class Pool:
    """The candidates for one question: N chunks in G groups, with what is known of them.

    Chunks of one group stand in one frame (title, reference), which is paid once. All costs are tokens.
    """

    query: str
    chunks: tuple[Chunk, ...]
    costs: NDArray[np.int64]  # (N,) each chunk's text, without its frame
    groups: NDArray[np.int64]  # (N,) the group each is in, 0 to G - 1
    frames: NDArray[np.int64]  # (G,) a group's frame
    relevance: Floats  # (N,) between 0 and 1; a probability where the ranker is a trained one
    vectors: NDArray[np.float32] | None = None  # (N, D) unit rows
    aspects: Floats | None = None  # (N, A) how well each covers each part of the query, between 0 and 1
    weights: Floats | None = None  # (A,) what each part of the query counts; they add up to 1
    links: Floats | None = None  # (N, N) how strongly the row's chunk leads to the column's, 0 to 1
    details: Mapping[str, Floats] = field(default_factory=dict)  # name -> (N,): scores, for explanations
    note: str = ""  # what a reader of the relevance should know

    def __len__(self) -> int:
        return len(self.chunks)

    def price(self, chosen: Sequence[int]) -> int:
        """Tokens of these chunks and of the frames they need."""
        # plain numbers: sets are small and priced often, and arrays of ten are slower than a loop
        costs, groups, frames = self._numbers
        return sum(costs[place] for place in chosen) + sum(
            frames[group] for group in {groups[place] for place in chosen}
        )

    @cached_property
    def _numbers(self) -> tuple[list[int], list[int], list[int]]:
        return self.costs.tolist(), self.groups.tolist(), self.frames.tolist()

    def added(self, chosen: Sequence[int]) -> NDArray[np.int64]:
        """What each chunk would cost on top of those chosen: (N,); frames that are open cost nothing."""
        frames = self.frames
        if len(chosen):
            frames = frames.copy()
            frames[self.groups[np.asarray(chosen, dtype=np.int64)]] = 0
        total: NDArray[np.int64] = self.costs + frames[self.groups]
        return total


@dataclass(frozen=True)
class Selection:
    """What a selector chose. `calls` counts the sets whose worth was asked for, `batches` the requests.

    `note` says what a reader should know (why nothing passed, which deadline cut the search); `trace` is
    whatever the selector can draw or explain itself by.
    """

    chosen: Chosen
    reward: float = 0.0
    calls: int = 0
    batches: int = 0
    note: str = ""
    trace: Any = None


class Worth(Protocol):
    """What sets of one pool's chunks are worth. Equal sets give equal worths."""

    @property
    def ordered(self) -> bool:
        """Whether the order of a set changes its worth."""
        ...

    def of(self, chosen: Sequence[int]) -> float:
        """The worth of this set; 0.0 for the empty one."""
        ...

    def extend(self, chosen: Sequence[int]) -> Floats:
        """(N,): what the set is worth with each chunk added at its end; meaningless for chosen ones."""
        ...


class Reward(Protocol):
    """A rule by which sets of chunks are valued: additive, coverage, a reranker. A frozen dataclass."""

    def on(self, pool: Pool) -> Worth:
        """The rule applied to this pool."""
        ...


class Selector(Protocol):
    """A way of choosing chunks. A frozen dataclass whose fields are its options."""

    def select(self, pool: Pool, tokens: int) -> Selection:
        """Chunks whose price is at most `tokens`, in the order in which they were chosen."""
        ...
