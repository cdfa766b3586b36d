"""A drawing of a search tree as SVG: where the search looked, what it saw there, and which way it went."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html import escape
from typing import Any

from ctxeng.search.node import Node
from ctxeng.search.tree import Found

_BOX, _HIGH, _ACROSS, _DOWN, _EDGE = 232, 40, 46, 10, 16  # pixels: boxes, gaps between them, the margin
_LETTERS = 28  # of a label that fit a box
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")  # in XML 1.0

_STYLE = """
.search-tree { color-scheme: light dark; --ink: #1f2933; --paper: #ffffff; --line: #9aa5b1; --mark: #b44d12; }
@media (prefers-color-scheme: dark) {
  .search-tree { --ink: #e4e7eb; --paper: #1f2933; --line: #7b8794; --mark: #f2a35e; }
}
.search-tree text { font: 12px system-ui, sans-serif; fill: var(--ink); }
.search-tree .figures { font-size: 10px; }
.search-tree rect { fill: var(--paper); stroke: var(--line); }
.search-tree path { fill: none; stroke: var(--line); }
.search-tree .found > rect, .search-tree path.found { stroke: var(--mark); stroke-width: 2.5; }
.search-tree .found > .label { font-weight: 600; }
"""


@dataclass
class _Box:
    """A node as it is drawn; `more` boxes stand for children that are left out."""

    label: str
    figures: str
    tip: str
    found: bool = False
    children: list[_Box] = field(default_factory=list)
    x: float = 0.0
    y: float = 0.0


def drawing(
    found: Found[Any],
    name: Callable[[Any], str] = str,
    text: Callable[[Any], str] = str,
    width: int = 4,
    depth: int = 3,
) -> str:
    """The tree of a search as an SVG document, the way to the result marked.

    `name` is the short label of a move and `text` what its tooltip says. Nodes are drawn with their visits,
    mean, reward and share of the budget, at most `width` children of a node and `depth` levels, those visited
    most first; the way to the result is drawn to its end. Colours follow the reader's light or dark setting.
    """
    rest = found.root.left
    tip = f"{found.iterations} states extended, {found.calls} scored" + (
        "" if rest else ", nothing left to see"
    )
    start = _Box("start", f"{found.iterations} iterations", tip, found=True)
    _fill(start, found.root, found.state, _Limits(name, text, width, depth), 1)
    bottom = _place(start, 0, _EDGE)
    boxes = list(_walk(start))
    size = max(box.x for box in boxes) + _BOX + _EDGE, bottom - _DOWN + _EDGE
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="search-tree" role="img" width="{size[0]:g}" '
        f'height="{size[1]:g}" viewBox="0 0 {size[0]:g} {size[1]:g}">'
    )
    lines = [line for box in boxes for line in _links(box)]
    shapes = [shape for box in boxes for shape in _shape(box)]
    return "\n".join(
        [head, f"<title>{_safe(tip)}</title>", f"<style>{_STYLE}</style>", *lines, *shapes, "</svg>\n"]
    )


@dataclass(frozen=True)
class _Limits:
    name: Callable[[Any], str]
    text: Callable[[Any], str]
    width: int
    depth: int


def _fill(box: _Box, node: Node[Any], way: tuple[Any, ...], limits: _Limits, level: int) -> None:
    """Hang the children of a node below its box; `way` are the moves from here to the result."""
    moves, rewards = node.children.moves, node.children.rewards
    if not len(moves):
        return
    ahead = list(moves).index(way[0]) if way else -1
    seen = [index for index in range(len(moves)) if box.found or index in node.nodes]
    seen.sort(key=lambda index: (index != ahead, -node.seen(index)[0], -rewards[index]))
    room = limits.width if level <= limits.depth else int(ahead >= 0)
    for index in seen[:room]:
        name, cost = limits.name(moves[index]), float(node.children.costs[index])
        visits, mean = node.seen(index)
        figures = f"n {visits:.0f} · mean {mean:.3g} · reward {rewards[index]:.3g} · {cost:.0%}"
        tip = (
            f"{limits.text(moves[index])}\nvisits {visits:.0f}, mean {mean:.4g}, "
            f"reward {rewards[index]:.4g}, {cost:.1%} of the budget"
        )
        child = _Box(name, figures, tip, found=box.found and index == ahead)
        box.children.append(child)
        if index in node.nodes:
            _fill(child, node.nodes[index], way[1:] if child.found else (), limits, level + 1)
    hidden = len(moves) - len(seen[:room])
    if hidden and (box.children or level <= limits.depth):
        box.children.append(_Box(f"+{hidden} more", "", f"{hidden} more states, not drawn"))


def _place(box: _Box, level: int, top: float) -> float:
    """Give boxes their corners, parents beside the middle of their children; returns the next free height."""
    box.x = _EDGE + level * (_BOX + _ACROSS)
    box.y, bottom = top, top
    for child in box.children:
        bottom = _place(child, level + 1, bottom)
    if box.children:
        box.y = (box.children[0].y + box.children[-1].y) / 2
    return max(bottom, top + _HIGH + _DOWN)


def _walk(box: _Box) -> Iterator[_Box]:
    yield box
    for child in box.children:
        yield from _walk(child)


def _links(box: _Box) -> Iterator[str]:
    x, y = box.x + _BOX, box.y + _HIGH / 2
    for child in sorted(box.children, key=lambda child: child.found):  # the marked one lies on top
        middle, end = x + _ACROSS / 2, child.y + _HIGH / 2
        mark = ' class="found"' if child.found else ""
        yield f'<path{mark} d="M{x:g} {y:g}C{middle:g} {y:g} {middle:g} {end:g} {child.x:g} {end:g}"/>'


def _shape(box: _Box) -> Iterator[str]:
    yield f'<g class="{"found" if box.found else "seen"}"><title>{_safe(box.tip)}</title>'
    if box.figures:
        yield f'<rect x="{box.x:g}" y="{box.y:g}" width="{_BOX}" height="{_HIGH}" rx="5"/>'
        yield f'<text class="figures" x="{box.x + 8:g}" y="{box.y + 32:g}">{_safe(box.figures)}</text>'
    baseline = box.y + (17 if box.figures else _HIGH / 2 + 4)
    yield f'<text class="label" x="{box.x + 8:g}" y="{baseline:g}">{_safe(_short(box.label))}</text></g>'


def _short(label: str) -> str:
    words = " ".join(label.split())
    return words if len(words) <= _LETTERS else words[: _LETTERS - 1].rstrip() + "…"


def _safe(text: str) -> str:
    return escape(_FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text))
