"""JSON, clipped: still JSON, with the values that matter most and a plain word on what is left out."""

from __future__ import annotations

from collections.abc import Sequence

from ctxeng.tools.clip.fit import Fits, most
from ctxeng.tools.clip.json_rank import Weights, ranked
from ctxeng.tools.clip.json_show import show
from ctxeng.tools.clip.json_tree import Node, flattened, parsed
from ctxeng.tools.clip.text_clip import clip_text

_LONG = 160  # characters from which on a string is shortened before it is left out
_SHORT = 60  # to so many
_BODY = 0.5  # of the text: one string that is longer than this is what the text is about
_TRIED = 24  # values tried one by one in the room that is left after the best ones


def clip_json(text: str, query: str, fits: Fits, weights: Weights = Weights()) -> str | None:  # noqa: B008
    """The best values of a JSON text that fit, as JSON; None where not one does, or it is no JSON.

    A container with values left out says so in its last member: which fields, under the name "...", or how
    many elements of how many. A string that is cut says how many characters are gone; one that is most of
    the text is clipped as a text of its own.
    """
    nodes = _nodes(text)
    if nodes is None:
        return None
    body = _body(nodes, len(text))
    order = [place for place in ranked(nodes, query, weights) if place != body]
    chosen = _best(nodes, order, fits)
    if chosen is None:
        return None
    if body >= 0:
        inner = clip_text(nodes[body].value, query, lambda cut: fits(show(nodes, {**chosen, body: cut})))
        if inner is not None:
            chosen[body] = inner
    return show(nodes, chosen) if chosen else None


def tight(text: str) -> str | None:
    """The whole JSON text without white space, records of one form as keys and rows; None if it is none."""
    nodes = _nodes(text)
    if nodes is None:
        return None
    return show(nodes, {place: None for place, node in enumerate(nodes) if node.size < 0})


def _nodes(text: str) -> list[Node] | None:
    root = parsed(text)
    return None if root is None else flattened(root)


def _body(nodes: Sequence[Node], length: int) -> int:
    """The leaf that is most of the text; -1 where there is none."""
    longest = max(
        (place for place, node in enumerate(nodes) if node.size < 0 and isinstance(node.value, str)),
        key=lambda place: len(nodes[place].value),
        default=-1,
    )
    if longest < 0 or len(nodes[longest].value) <= max(_BODY * length, _LONG):
        return -1
    return longest


def _best(nodes: Sequence[Node], order: Sequence[int], fits: Fits) -> dict[int, str | None] | None:
    """As many of the leaves as fit, long strings cut; then others that still do, then the strings whole."""
    cut = {place: _shortened(nodes[place]) for place in order}

    def first(count: int) -> dict[int, str | None]:
        return {place: cut[place] for place in order[:count]}

    count = most(lambda best: show(nodes, first(best)), len(order), fits)
    if count < 0:
        return None
    chosen = first(count)
    for place in order[count : count + _TRIED]:
        if fits(show(nodes, {**chosen, place: cut[place]})):
            chosen[place] = cut[place]
    long = [place for place in order[:count] if cut[place] is not None]
    for place in long[:_TRIED]:
        if fits(show(nodes, {**chosen, place: None})):
            chosen[place] = None
    return chosen


def _shortened(node: Node) -> str | None:
    if not isinstance(node.value, str) or len(node.value) <= _LONG:
        return None
    return f"{node.value[:_SHORT]}... [{len(node.value) - _SHORT} characters left out]"
