"""JSON as a flat list of nodes: what is kept of it can be chosen leaf by leaf and written again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

_DEEPEST = 48  # levels; deeper values are no record that anybody reads
_LINES = 2  # values on lines of their own that make JSON Lines


class Bare(str):
    """A number as it is spelt, so that 1.10 and 1e400 stay what they are."""

    __slots__ = ()


class Fields(tuple[tuple[str, Any], ...]):
    """The fields of an object in order; a name may stand twice."""

    __slots__ = ()


class Node(NamedTuple):
    """A value: where its container is in the list (-1: none), its name there, its place among `of` values.

    `size` is how many values a container holds, -1 for a leaf, and an empty container is one; `depth` is how
    many containers it stands in.
    """

    parent: int
    name: str
    place: int
    of: int
    value: Any
    size: int
    depth: int


@lru_cache(maxsize=2)
def parsed(text: str) -> Any:
    """The object or array that the text is, or JSON Lines as an array of them; None where it is neither.

    Numbers are `Bare`, objects `Fields`. Never raises: what nests too deeply is not JSON to us.
    """
    start = text.lstrip()[:1]
    if start not in ("{", "["):
        return None
    found = _loaded(text)
    if found is None and start == "{":
        lines = [line for line in text.split("\n") if line.strip()]
        if len(lines) >= _LINES and all(line.lstrip()[0] == "{" for line in lines):
            rows = [_loaded(line) for line in lines]
            found = None if any(row is None for row in rows) else rows
    return found


def _loaded(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None


_DECODER = json.JSONDecoder(object_pairs_hook=Fields, parse_int=Bare, parse_float=Bare, parse_constant=Bare)


def flattened(root: Any) -> list[Node] | None:
    """All values in source order, containers before what they hold; None where they nest too deeply."""
    nodes: list[Node] = []
    open_: list[tuple[Iterator[tuple[str, Any]], int, int]] = []  # what a container still holds, its node
    _enter(root, Node(-1, "", 0, 1, root, _size(root), 0), nodes, open_)
    while open_:
        rest, parent, place = open_[-1]
        following = next(rest, None)
        if following is None:
            open_.pop()
            continue
        open_[-1] = (rest, parent, place + 1)
        above = nodes[parent]
        if above.depth >= _DEEPEST:
            return None
        name, value = following
        node = Node(parent, name, place, above.size, value, _size(value), above.depth + 1)
        _enter(value, node, nodes, open_)
    return nodes


def _enter(
    value: Any, node: Node, nodes: list[Node], open_: list[tuple[Iterator[tuple[str, Any]], int, int]]
) -> None:
    nodes.append(node)
    if node.size > 0:
        inside = iter(value) if isinstance(value, Fields) else (("", each) for each in value)
        open_.append((inside, len(nodes) - 1, 0))


def _size(value: Any) -> int:
    """How many values it holds; -1 for a leaf, and an empty container is one."""
    return len(value) if isinstance(value, Fields | list) and value else -1


def written(value: Any) -> str:
    """A leaf as JSON."""
    if isinstance(value, Bare):
        return str(value)
    if isinstance(value, Fields):
        return "{}"
    return json.dumps(value, ensure_ascii=False)
