"""What a query is after: which words, and how well a piece of text answers to them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ctxeng.retrieval import words
from ctxeng.retrieval.lexical import Lexical

Floats = NDArray[np.float64]
_WORD = re.compile(r"\w+")
_IS_NAME = re.compile(r"\d|\w_\w|[a-z][A-Z]")  # not a plain word
_NAME = 3  # characters of a name, at least
_FEW, _SHARE = 3, 50  # pieces, or one in so many, that may hold a name that is rare
_TINY = 1e-9
_RANKED = 4_000  # pieces that BM25 reads; of more, those with no word of the query are left out first


def asked_words(query: str) -> frozenset[str]:
    """The query's words in lower case, whole (`order_7`), in parts, and stemmed; no stop words."""
    lowered = query.lower()
    parts = re.findall(r"[^\W\d_]+|\d+", lowered)
    found = {*_WORD.findall(lowered), *parts, *words.terms(query)}
    return frozenset(found - words.STOP_WORDS)


def relevance(pieces: Sequence[str], query: str) -> Floats:
    """How well each piece answers the query, (N,), from 0 to 1.

    BM25, the best piece having 1, and as much again for a name of the query that few pieces hold: a line's
    number, an id, an identifier is asked for because of itself, however many plain words stand beside it.
    """
    scores = np.zeros(len(pieces))
    if not query or not pieces:
        return scores
    places = _candidates(pieces, query)
    if places:
        read = [pieces[place] for place in places]
        found = Lexical(read).scores(query).astype(np.float64)
        scores[places] = found / max(float(found.max()), _TINY) + _named(read, query)
    return scores / max(float(scores.max()), _TINY)


def _named(pieces: Sequence[str], query: str) -> Floats:
    """For each piece, 1 over the root of how many hold the rarest name of the query that it holds."""
    names = {name for name in _WORD.findall(query) if len(name) >= _NAME and _IS_NAME.search(name)}
    holders: dict[str, list[int]] = {}
    for place, piece in enumerate(pieces):
        for name in names.intersection(_WORD.findall(piece)):
            holders.setdefault(name, []).append(place)
    found = np.zeros(len(pieces))
    for held in holders.values():
        if len(held) <= max(_FEW, len(pieces) // _SHARE):
            found[held] = np.maximum(found[held], len(held) ** -0.5)
    return found


def _candidates(pieces: Sequence[str], query: str) -> list[int]:
    if len(pieces) <= _RANKED:
        return list(range(len(pieces)))
    terms = sorted({term for term in words.terms(query) if len(term) > 1}, key=len, reverse=True)
    if not terms:
        return []
    has = re.compile("|".join(map(re.escape, terms)), re.IGNORECASE).search
    found = [place for place, piece in enumerate(pieces) if has(piece)]
    step = -(-len(found) // _RANKED)  # rounded up
    return found[:: max(step, 1)]
