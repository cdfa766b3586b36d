"""Greedy choice by gain and by gain per token, then exchanges until nothing improves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ctxeng.chunks.pool import Chosen, Pool, Reward, Selection, Worth
from ctxeng.chunks.rewards.counted import Counted
from ctxeng.errors import BadInput

_LEAST = 1e-9  # what counts as a gain: less is rounding, and could be exchanged for ever
_ROUNDS = 100  # exchanges at most; real pools need a handful


@dataclass(frozen=True)
class Greedy:
    """Add the chunk that gains most until none gains or fits; then exchange.

    `per_token` divides a gain by the chunk's price (with its frame, where that is not open yet) to the power
    of `exponent`; "both" fills either way and keeps the better. With `swaps`, the chunk to add or to
    put in another's place that improves the reward most is taken, else the one to drop, until there is none.
    Where order counts, what is put in goes to the end, and a chunk may be moved there.
    """

    reward: Reward
    per_token: bool | Literal["both"] = "both"  # noqa: S105 - tokens that are counted
    swaps: bool = True
    exponent: float = 1.0

    def __post_init__(self) -> None:
        if self.per_token not in {True, False, "both"}:
            raise BadInput(f"per_token is {self.per_token!r}; it is true, false or 'both'")
        if self.exponent < 0:
            raise BadInput(f"exponent is {self.exponent}, it must be at least 0")

    def select(self, pool: Pool, tokens: int) -> Selection:
        """Chunks whose price is at most `tokens`, in the order in which they were chosen."""
        worth = Counted(self.reward.on(pool))
        chosen, reward = self.choose(worth, pool, tokens)
        return Selection(chosen, reward, worth.calls, worth.batches)

    def choose(self, worth: Worth, pool: Pool, tokens: int) -> tuple[Chosen, float]:
        """The same for a worth at hand: chunks and their reward."""
        exponents = [self.exponent] if self.per_token is True else [0.0]
        if self.per_token == "both":  # noqa: S105 - the same
            exponents = [0.0, self.exponent]
        found = max(
            (_filled(worth, pool, tokens, exponent) for exponent in exponents), key=lambda pair: pair[1]
        )
        return _exchanged(worth, pool, tokens, *found) if self.swaps else found


def _filled(worth: Worth, pool: Pool, tokens: int, exponent: float) -> tuple[Chosen, float]:
    chosen: Chosen = ()
    reward, left = 0.0, tokens
    while True:
        added = pool.added(chosen)
        fits = _fitting(added, chosen, left)
        if not fits.any():
            return chosen, reward
        worths = worth.extend(chosen)
        gains = np.where(fits, worths - reward, -np.inf)
        if gains.max() <= _LEAST:
            return chosen, reward
        rated = gains / np.maximum(added, 1) ** exponent
        rated[gains <= _LEAST] = -np.inf
        best = int(rated.argmax())
        chosen, reward, left = (*chosen, best), float(worths[best]), left - int(added[best])


def _exchanged(worth: Worth, pool: Pool, tokens: int, chosen: Chosen, reward: float) -> tuple[Chosen, float]:
    for _ in range(_ROUNDS):
        rests = [chosen[:place] + chosen[place + 1 :] for place in range(len(chosen))]
        put_in = [_added(worth, pool, tokens, rest) for rest in (chosen, *rests)]
        found = max(put_in, key=lambda pair: pair[1])
        if found[1] <= reward + _LEAST and rests:  # nothing to put in: perhaps something to take out
            found = max(((rest, worth.of(rest)) for rest in rests), key=lambda pair: pair[1])
        if found[1] <= reward + _LEAST:
            break
        chosen, reward = found
    return chosen, reward


def _added(worth: Worth, pool: Pool, tokens: int, chosen: Chosen) -> tuple[Chosen, float]:
    """The set with the best chunk that fits added; worth -inf where none does."""
    fits = _fitting(pool.added(chosen), chosen, tokens - pool.price(chosen))
    if not fits.any():
        return chosen, -np.inf
    worths = np.where(fits, worth.extend(chosen), -np.inf)
    best = int(worths.argmax())
    return (*chosen, best), float(worths[best])


def _fitting(added: NDArray[np.int64], chosen: Chosen, left: int) -> NDArray[np.bool_]:
    fits = added <= left
    fits[list(chosen)] = False
    return fits
