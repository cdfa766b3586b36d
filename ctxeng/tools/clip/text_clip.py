"""Text and code, clipped: what answers the query, the beginning and the end, in source order."""

from __future__ import annotations

from ctxeng.tools.clip.asked import relevance
from ctxeng.tools.clip.fit import Fits
from ctxeng.tools.clip.lines import Kept, by_rank, ends, piece_spans, spread

_LONGEST = 240  # characters of a piece; longer lines come apart
_HEAD, _TAIL = 4.0, 3.0  # pieces
_BESIDE = 0.75  # of a match's weight for the pieces beside it
_ENDS, _SEARCHED = 0.5, 0.05  # weight of the ends beside a match's, in a clip and in a search


def clip_text(text: str, query: str, fits: Fits) -> str | None:
    """The best lines or sentences that fit; None if not one does. Lines keep their numbers."""
    return _clipped(text, query, fits, _ENDS)


def search_text(text: str, query: str, fits: Fits) -> str | None:
    """The lines or sentences that answer the query best, and what stands beside them."""
    return _clipped(text, query, fits, _SEARCHED)


def _clipped(text: str, query: str, fits: Fits, weight: float) -> str | None:
    spans = piece_spans(text, _LONGEST)
    matched = relevance([text[start:stop] for start, stop in spans], query)
    scores = spread(spread(matched, _BESIDE), _BESIDE) + weight * ends(len(spans), _HEAD, _TAIL)
    scores[[0, -1]] += 0.8 * weight  # what it is and how it ended come right after the best match
    return Kept(text, spans, by_rank(scores)).clip(fits)
