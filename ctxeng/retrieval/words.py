"""Text to index terms: names split into words, lower case, stop words out, stemmed."""

from __future__ import annotations

import re
from functools import lru_cache

import Stemmer

# Contractions come apart at the apostrophe, so their halves are listed ("don", "t").
_LISTED = """
a about above after again against ain all also am an and any are aren as at be because been before
being below between both but by can could couldn d did didn do does doesn doing don down during each
few for from further had hadn has hasn have haven having he her here hers herself him himself his how i
if in into is isn it its itself just ll m may me might more most must my myself no nor not now of off on
once only or other our ours ourselves out over own please re s same shall she should shouldn so some
such t than that the their theirs them themselves then there these they this those through to too under
until up us ve very was wasn we were weren what when where which while who whom why will with won would
wouldn you your yours yourself yourselves
"""
STOP_WORDS = frozenset(_LISTED.split())

VERSION = 1  # of what `terms` gives: whatever changes that raises it, so that stored terms are read anew

_NAME_SEAM = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")  # getHTTPCode -> get HTTP Code
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # scripts without spaces: one term a character
_TERM = re.compile(rf"[{_UNSPACED}]|[^\W\d_{_UNSPACED}]+|\d+")
_STEMMER = Stemmer.Stemmer("english")


def terms(text: str) -> list[str]:
    """The text's index terms, in order, repeats kept; stop words only where there is nothing else."""
    words = _TERM.findall(_NAME_SEAM.sub(" ", text).lower())
    kept = [word for word in words if word not in STOP_WORDS]
    return [stem(word) for word in kept or words]


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """The stem of a lower-case English word."""
    stemmed: str = _STEMMER.stemWord(word)
    return stemmed
