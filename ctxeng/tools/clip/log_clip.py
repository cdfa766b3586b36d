"""Logs, clipped: errors with their context, the end, what matches the query; repeats are collapsed."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ctxeng.tools.clip.asked import Floats, relevance
from ctxeng.tools.clip.fit import Fits
from ctxeng.tools.clip.lines import Kept, by_rank, ends, piece_spans, spread

ERROR = re.compile(
    r"\b(?:error|fatal|critical|panic|exception|traceback|fail(?:ed|ure)?|denied|refused|segfault)\b"
    r"|\w(?:Error|Exception)\b|^E {2,}\S",
    re.IGNORECASE | re.MULTILINE,
)
# plain words are found much faster than the pattern, and every match of it holds one
_HINTS = (
    "error",
    "fatal",
    "critical",
    "panic",
    "exception",
    "traceback",
    "fail",
    "denied",
    "refused",
    "segf",
    "e  ",
)
_VARIES = re.compile(r"0x[0-9a-fA-F]+|[0-9a-fA-F]{8,}|\d+")
_HEAD, _TAIL = 1.5, 6.0  # lines
_LONGEST = 400  # characters of a line; longer ones come apart
_AGAIN = 2.0  # against: a line that repeats the one above but for its numbers
_ERROR, _WARNING, _MATCH, _BESIDE = 2.0, 0.5, 1.2, 0.6


def clip_log(text: str, query: str, fits: Fits) -> str | None:
    """The best lines that fit; None if not one does. Lines like the one above but for numbers come last."""
    spans = piece_spans(text, _LONGEST)
    lines = [text[start:stop] for start, stop in spans]
    forms = forms_of(lines)
    wanted = _MATCH * relevance(lines, query) + _alarm(lines)
    scores = spread(spread(wanted, _BESIDE), _BESIDE) + ends(len(lines), _HEAD, _TAIL)
    again = [place for place in range(1, len(lines)) if forms[place] == forms[place - 1]]
    scores[again] = np.maximum(scores[again] - _AGAIN, wanted[again] * (1 - _BESIDE))
    return Kept(text, spans, by_rank(scores), forms=forms).clip(fits)


def _alarm(lines: Sequence[str]) -> Floats:
    """How alarming each line is, (N,); the first and the last error before those between."""
    low = [line.lower() for line in lines]
    found = np.array([_WARNING * ("warn" in line) for line in low])
    hinted = (place for place, line in enumerate(low) if any(hint in line for hint in _HINTS))
    errors = [place for place in hinted if ERROR.search(lines[place])]
    if errors:
        found[errors] = _ERROR * 0.75
        found[[errors[0], errors[-1]]] = _ERROR
    return found


def forms_of(lines: Sequence[str]) -> list[int]:
    """A number for each line, the same for neighbours that differ in their digits alone."""
    found: list[int] = []
    before = None
    for line in lines:
        form = _VARIES.sub("#", line.strip()[:_LONGEST])
        found.append(found[-1] if found and form == before else len(found))
        before = form
    return found
