"""Python source as pieces: statements by the syntax tree, never cut inside a string that fits."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ctxeng.chunks.split.line_map import LineMap
from ctxeng.chunks.split.piece import Piece
from ctxeng.chunks.split.seams import LAYOUT, Fits, refine

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_BODIES = ("body", "handlers", "cases", "orelse", "finalbody")  # of statements, in the order of the source


def python_pieces(text: str, fits: Fits) -> list[Piece] | None:
    """Top-level functions and classes, what is too long by its own parts; None where it does not parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in somebody's string is not ours to report
            tree = ast.parse(text)
        lines = LineMap(text)
        return list(_Cutter(lines, fits).pieces(tree.body, 0, len(lines.starts), ""))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


@dataclass(frozen=True)
class _Cutter:
    lines: LineMap
    fits: Fits

    def pieces(self, nodes: Sequence[ast.AST], first: int, last: int, title: str) -> Iterator[Piece]:
        """Pieces of the lines from `first` up to `last`, which hold these statements."""
        if not nodes:
            yield from self._leaf(None, first, last, title)
        for node, start, end in _units(nodes, first, last):
            span = self.lines.span(start, end)
            name = title
            if isinstance(node, _DEFINITIONS):
                name = f"{title}.{node.name}" if title else node.name
            inner = [child for field in _BODIES for child in _children(node, field)]
            if self.fits(self.lines.text[slice(*span)]):
                yield Piece(*span, name)
            elif inner:
                yield from self.pieces(inner, start, end, name)
            else:
                yield from self._leaf(node, start, end, name)

    def _leaf(self, node: ast.AST | None, first: int, last: int, title: str) -> Iterator[Piece]:
        """What has no statements inside, by its lines; those of one string stay together where they fit."""
        inside = _inside_strings(node)
        cuts = [line for line in range(first, min(last, len(self.lines.starts))) if line not in inside]
        for start, end in zip(cuts, [*cuts[1:], last], strict=False):
            span = self.lines.span(start, end)
            if span[0] < span[1]:
                for part in refine(self.lines.text, span, LAYOUT, self.fits):
                    yield Piece(*part, title)


def _units(nodes: Sequence[ast.AST], first: int, last: int) -> Iterator[tuple[ast.AST, int, int]]:
    """Each statement with its lines, from the one before it on: comments go with what follows."""
    found: list[tuple[ast.AST, int]] = []
    for node in nodes:
        end = _end(node)
        if found and _begin(node) < found[-1][1]:  # two on one line, parted by a semicolon
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((node, end))
    start = first
    for place, (node, end) in enumerate(found):
        stop = last if place == len(found) - 1 else end
        yield node, start, stop
        start = stop


def _begin(node: ast.AST) -> int:
    """The first line, counted from 0; a match case has none of its own."""
    return int(getattr(node, "lineno", None) or node.pattern.lineno) - 1  # type: ignore[attr-defined]


def _end(node: ast.AST) -> int:
    """One past the last line."""
    return int(getattr(node, "end_lineno", None) or node.body[-1].end_lineno)  # type: ignore[attr-defined]


def _children(node: ast.AST, field: str) -> list[ast.AST]:
    held = getattr(node, field, None)
    return held if isinstance(held, list) else []  # the body of a lambda is an expression


def _inside_strings(node: ast.AST | None) -> set[int]:
    """The lines, counted from 0, at whose beginning a string is open."""
    found: set[int] = set()
    for each in ast.walk(node) if node is not None else ():
        text = isinstance(each, ast.Constant) and isinstance(each.value, str | bytes)
        if text or isinstance(each, ast.JoinedStr):
            found.update(range(each.lineno, each.end_lineno or each.lineno))  # type: ignore[attr-defined]
    return found
