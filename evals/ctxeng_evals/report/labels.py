"""Labels beside the points of a plot, where there is room for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_SIZE = 8.5  # points
_WIDTH, _HEIGHT = 0.56, 1.15  # of a letter and a line, in sizes
_OFFSETS = (
    (0.0, 5.0, "center", "bottom"),
    (0.0, -5.0, "center", "top"),
    (7.0, 0.0, "left", "center"),
    (-7.0, 0.0, "right", "center"),
    (6.0, 6.0, "left", "bottom"),
    (6.0, -6.0, "left", "top"),
    (-6.0, 6.0, "right", "bottom"),
    (-6.0, -6.0, "right", "top"),
)
Box = tuple[float, float, float, float]


def placed(
    axes: Any, labels: Sequence[tuple[str, float, float]], points: Sequence[tuple[float, float]]
) -> int:
    """How many of the labels, first come first served, found a free place beside their point."""
    axes.figure.draw_without_rendering()  # settles where points lie
    scale = 72 / axes.figure.dpi
    taken: list[Box] = [_around(axes, scale, point) for point in points]
    frame = axes.get_window_extent()
    inside = (frame.x0 * scale, frame.y0 * scale, frame.x1 * scale, frame.y1 * scale)
    count = 0
    for text, x, y in labels:
        centre = axes.transData.transform((x, y)) * scale
        for right, up, across, along in _OFFSETS:
            box = _box(centre[0] + right, centre[1] + up, text, across, along)
            if _within(box, inside) and not any(_touch(box, other) for other in taken):
                axes.annotate(
                    text, (x, y), (right, up), textcoords="offset points", ha=across, va=along, size=_SIZE
                )
                taken.append(box)
                count += 1
                break
    return count


def _around(axes: Any, scale: float, point: tuple[float, float]) -> Box:
    x, y = axes.transData.transform(point) * scale
    return x - 3.5, y - 3.5, x + 3.5, y + 3.5


def _box(x: float, y: float, text: str, across: str, along: str) -> Box:
    width, height = len(text) * _SIZE * _WIDTH, _SIZE * _HEIGHT
    left = x - {"left": 0.0, "center": 0.5, "right": 1.0}[across] * width
    low = y - {"bottom": 0.0, "center": 0.5, "top": 1.0}[along] * height
    return left, low, left + width, low + height


def _within(box: Box, frame: Box) -> bool:
    return box[0] >= frame[0] and box[1] >= frame[1] and box[2] <= frame[2] and box[3] <= frame[3]


def _touch(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
