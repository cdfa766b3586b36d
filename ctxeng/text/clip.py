"""Cutting a text to a size, from the middle, with a mark that says how much is gone."""

from __future__ import annotations

from collections.abc import Callable

_MARK = "\n[... {} characters left out ...]\n"


def clip_middle(text: str, fits: Callable[[str], bool]) -> str:
    """The longest head and tail of equal length that fit, joined by a mark; the mark alone if nothing does.

    `fits` is asked O(log n) times. Beginning and end are kept because results open with what they are
    and errors stand at the end.
    """
    if fits(text):
        return text
    low, high = 0, len(text) // 2
    while low < high:
        middle = (low + high + 1) // 2
        if fits(_cut(text, middle)):
            low = middle
        else:
            high = middle - 1
    return _cut(text, low)


def _cut(text: str, side: int) -> str:
    gone = len(text) - 2 * side
    return text[:side] + _MARK.format(gone) + (text[-side:] if side else "")
