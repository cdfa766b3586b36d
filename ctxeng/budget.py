"""The token budget of a window, and how it is split between sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_EIGHTH = 8  # of the window: a few steps with their results


@dataclass(frozen=True)
class Share:
    """What one source may have: at least `min` tokens, `share` of what is free, at most `cap` tokens."""

    min: int = 0
    share: float | None = None
    cap: int | None = None

    def __post_init__(self) -> None:
        if self.min < 0 or (self.cap is not None and self.cap < self.min):
            raise ValueError(f"min {self.min} and cap {self.cap}: min must be >= 0 and at most cap")
        if self.share is not None and not 0 <= self.share <= 1:
            raise ValueError(f"share {self.share} is not between 0 and 1")


@dataclass(frozen=True)
class Budget:
    """Tokens of the window, of the reply, of the reserve for tool steps, and the sources' shares.

    Without a stated `loop`, requests that bring tools reserve an eighth of the window, others nothing.
    """

    window: int
    reply: int = 1024
    loop: int | None = None
    shares: Mapping[str, Share] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.window <= 0 or self.reply <= 0 or (self.loop or 0) < 0:
            raise ValueError(
                f"window {self.window} and reply {self.reply} must be positive, loop {self.loop} >= 0"
            )
        total = sum(share.share or 0.0 for share in self.shares.values())
        if total > 1 + 1e-9:
            raise ValueError(f"shares add up to {total:.2f}, more than 1")

    def reserve(self, *, tools: bool) -> int:
        """Tokens kept free for tool steps."""
        return self.loop if self.loop is not None else self.window // _EIGHTH if tools else 0

    @property
    def prompt(self) -> int:
        """Tokens a prompt may have: the window less the reply."""
        return self.window - self.reply


def split(available: int, names: Sequence[str], shares: Mapping[str, Share]) -> list[int]:
    """Each source's part of `available`, in order; parts never add up to more than `available`.

    Stated shares are taken of the whole, sources without one divide the rest evenly. Minima are met
    first, in order, as far as `available` reaches.
    """
    chosen = [shares.get(name, Share()) for name in names]
    stated = sum(share.share or 0.0 for share in chosen)
    unstated = sum(share.share is None for share in chosen)
    even = max(0.0, 1.0 - stated) / unstated if unstated else 0.0
    minima, left = [], available
    for share in chosen:
        minima.append(min(share.min, left))
        left -= minima[-1]
    wishes = [
        max(0, int(available * (even if s.share is None else s.share)) - m)
        for s, m in zip(chosen, minima, strict=True)
    ]
    scale = min(1.0, left / sum(wishes)) if sum(wishes) else 0.0
    parts = [least + int(wish * scale) for least, wish in zip(minima, wishes, strict=True)]
    return [
        part if share.cap is None else min(part, share.cap) for part, share in zip(parts, chosen, strict=True)
    ]
