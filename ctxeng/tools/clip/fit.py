"""How much of something fits: a search that never renders far past the allowance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ctxeng.tokens import Counter

Fits = Callable[[str], bool]
_CHARS_PER_TOKEN = 16  # denser text is taken not to fit without being counted; only a clip is ever asked so
_WHOLE = 200_000  # characters of a text that is counted at once
_SLICES, _SLICE = 24, 4_096  # of a longer one: how many pieces are counted, and how long each is


@dataclass(frozen=True)
class Within:
    """Whether a clip is within `tokens`, as `counter` counts."""

    tokens: int
    counter: Counter

    def __call__(self, text: str) -> bool:
        """Whether it fits; at once for what is far too long."""
        if len(text) > _CHARS_PER_TOKEN * self.tokens + 256:
            return False
        return self.counter.count(text) <= self.tokens


def size(text: str, counter: Counter, tokens: int) -> int:
    """Tokens of the text; scaled up from a sample where it is long and surely over `tokens`.

    Long texts are counted in slices, never at once: tiktoken fails on millions of spaces in a row.
    """
    if len(text) <= _WHOLE:
        return counter.count(text)
    step = (len(text) - _SLICE) / (_SLICES - 1)
    starts = [round(place * step) for place in range(_SLICES)]
    sampled = sum(counter.count(text[start : start + _SLICE]) for start in starts)
    if sampled > 2 * tokens + _SLICES:
        return round(sampled * len(text) / (_SLICES * _SLICE))
    return sum(counter.count(text[start : start + _WHOLE]) for start in range(0, len(text), _WHOLE))


def most(render: Callable[[int], str], top: int, fits: Fits) -> int:
    """The largest count, 0 to `top`, whose rendering fits; -1 if none does.

    `render(count)` should grow with `count`: the search doubles from 1 and then halves, so nothing much
    longer than twice what fits is ever rendered. One try at `top` comes last of the doubling.
    """
    low, high = -1, 0
    while high <= top and fits(render(high)):
        low, high = high, min(2 * high + 1, top) if high < top else top + 1
    while low + 1 < high:
        middle = (low + high) // 2
        if fits(render(middle)):
            low = middle
        else:
            high = middle
    return min(low, top)
