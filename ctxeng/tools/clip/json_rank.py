"""Which values of a JSON text matter most: those that are asked for, names and ids, what stands first."""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log2
from typing import Any

from ctxeng.retrieval import words
from ctxeng.tools.clip.asked import asked_words
from ctxeng.tools.clip.json_tree import Bare, Fields, Node

_BEST = 4_096  # values that are ranked; no allowance of a tool's result holds more
_WEIGHED = 20_000  # values that are looked at closely for how they stand, beside those that are asked for
_READ = 400  # characters of a string in which words are looked for
_MAP = 12  # fields from which on an object is a map, and its values are elements like an array's
_WORDS = re.compile(r"[^\W_]+(?:_[^\W_]+)*")
_PARTS = re.compile(r"[^\W\d_]+|\d+")
_ID = re.compile(
    r"(?=[^\d]{0,40}\d)[\w\-:.@/#+]{2,40}\Z|[A-Z]{2,8}\Z|[^\s@]{1,60}@[^\s@]{1,60}\Z|(?:https?:/)?/\S{1,200}\Z"
)
_PROSE = 60  # characters from which on a string is no name


@dataclass(frozen=True)
class Weights:
    """How much each thing counts; a value's rank is its gain over what it costs to show it."""

    match: float = 8.0  # times the gain, for a word of the query that nothing else has
    record: float = 3.0  # for another value of the same element that matches
    field: float = 0.5  # for the name of the field, or of what it stands in
    alone: float = 0.1  # of the first two, where the element is the whole text: then it tells nothing apart
    known: float = 0.1  # of the gain, of a value that stands there already: in the query, or as a name
    ident: float = 2.0  # the gain of an id, a date, a code, an address
    number: float = 1.0
    name: float = 0.5  # the gain of a short string
    phrase: float = 0.5  # that of several words, and of true, false and null
    place: float = 0.15  # against: the power of its rank in an array by which the gain is divided
    depth: float = 0.0  # against: the same for each container it stands in


SEARCH = Weights(match=20.0, record=10.0, field=4.0, alone=1.0, known=1.0, place=0.1)


def ranked(nodes: Sequence[Node], query: str, weights: Weights) -> list[int]:
    """The leaves, best first, ties in source order; of very many the best 4,096."""
    asked = asked_words(query)
    matched = matches(nodes, asked)
    named, element, back = _inherited(nodes, asked, weights)
    records: dict[int, float] = {}
    for place, share in matched.items():
        records[element[place]] = max(records.get(element[place], 0.0), share)
    leaves = [place for place, node in enumerate(nodes) if node.size < 0]
    if len(leaves) > _WEIGHED:
        near = set(heapq.nlargest(_WEIGHED, leaves, key=back.__getitem__))
        leaves = [place for place in leaves if place in near or element[place] in records]
    scored = []
    for place in leaves:
        node = nodes[place]
        found = weights.match * matched.get(place, 0.0) + weights.record * records.get(element[place], 0.0)
        found *= 1.0 if element[place] else weights.alone
        gain, cost = _gain_and_cost(node, nodes, weights)
        gain *= (1 + found + weights.field * named[place]) * back[place]
        if _known(node, nodes, frozenset() if element[place] else asked):
            gain *= weights.known
        scored.append((-gain / cost, place))
    return [place for _, place in heapq.nsmallest(_BEST, scored)]


def _known(node: Node, nodes: Sequence[Node], asked: frozenset[str]) -> bool:
    value = node.value
    if not isinstance(value, str) or node.parent < 0:
        return False
    return value == nodes[node.parent].name or (bool(asked) and value.lower() in asked)


def _gain_and_cost(node: Node, nodes: Sequence[Node], weights: Weights) -> tuple[float, float]:
    """What it is worth to show, and about how many tokens; records of an array share their fields' names."""
    above = nodes[node.parent]
    rows = nodes[above.parent].size if node.parent > 0 and not above.name else 1
    gain, tokens = _leaf(node.value, weights)
    return gain, 1 + tokens + len(node.name) / 4 / max(rows, 1)


def _leaf(value: Any, weights: Weights) -> tuple[float, float]:
    if not isinstance(value, str) or not value:
        return weights.phrase, 1
    if isinstance(value, Bare):
        return weights.number, len(value) / 2.5
    if len(value) > _PROSE:
        return weights.phrase, min(len(value), 3 * _PROSE) / 4
    if _ID.match(value):
        return weights.ident, len(value) / 2.5
    return weights.phrase if " " in value else weights.name, len(value) / 4


def matches(nodes: Sequence[Node], asked: frozenset[str]) -> dict[int, float]:
    """How much of the query each leaf holds, for those that hold any, up to 1: rare words count for more."""
    if not asked:
        return {}
    found: dict[int, frozenset[str]] = {}
    for place, node in enumerate(nodes):
        if node.size < 0 and isinstance(node.value, str):
            shared = asked.intersection(_words(node.value[:_READ]))
            if shared:
                found[place] = shared
    seen = Counter(word for shared in found.values() for word in shared)
    return {
        place: min(1.0, sum(1 / (1 + log2(seen[word])) for word in shared)) for place, shared in found.items()
    }


def _words(text: str) -> list[str]:
    whole: list[str] = _WORDS.findall(text.lower())
    return whole + [part for word in whole if not word.isalpha() for part in _PARTS.findall(word)]


@lru_cache(maxsize=4_096)
def _name_words(name: str) -> frozenset[str]:
    return frozenset(words.terms(name[:_READ]))


def _inherited(
    nodes: Sequence[Node], asked: frozenset[str], weights: Weights
) -> tuple[list[float], list[int], list[float]]:
    """For each node: how its names answer the query, the element it is in, what its place takes off."""
    named, element, back = [0.0], [0], [1.0]
    for place in range(1, len(nodes)):
        node = nodes[place]
        above = nodes[node.parent]
        many = not isinstance(above.value, Fields) or above.size > _MAP
        hit = bool(node.name) and bool(asked & _name_words(node.name))
        named.append(1.0 if hit else 0.6 * named[node.parent])
        element.append(place if many and node.size > 0 else element[node.parent])
        rank = 1 + _rank(node.place, node.of) if many else 1
        back.append(back[node.parent] * rank**-weights.place * 2**-weights.depth)
    return named, element, back


def _rank(place: int, of: int) -> int:
    """Its turn in an array: the first ones, the last one, and others evenly spread between them."""
    if place == of - 1:
        return min(place, 1)
    return min(place, of // (place & -place) + 2) if place else 0
