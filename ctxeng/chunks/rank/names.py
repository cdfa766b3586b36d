"""Names in a text: titles that other chunks mention, capitalised phrases, numbers. No model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from ctxeng.retrieval.words import STOP_WORDS

_PARENTHESIS = re.compile(r"\s*\([^)]*\)\s*")
_WORD = re.compile(r"\w+")
_CAPITALS = re.compile(
    r"(?<![\w-])[A-Z][\w'.-]*(?:\s+(?:(?:of|the|and|de|von|van|la|le|&)\s+)?[A-Z0-9][\w'.-]*)*"
)
_LEAST = 3  # letters of a one-word title that is looked for in texts


@lru_cache(maxsize=65_536)
def plain(text: str) -> str:
    """The text's words in lower case, a space before, between and behind them: for whole-word search."""
    return f" {' '.join(_WORD.findall(text.lower()))} "


@lru_cache(maxsize=16_384)
def title_key(title: str) -> str:
    """What a text would call the thing of this title: no parenthesis, no heading path; "" for too short."""
    last = title.rpartition(" > ")[2]
    key = plain(_PARENTHESIS.sub(" ", last))
    words = key.split()
    if not words or (len(words) == 1 and (len(words[0]) < _LEAST or words[0] in STOP_WORDS)):
        return ""
    return key


@lru_cache(maxsize=65_536)
def phrases(text: str) -> frozenset[str]:
    """Capitalised phrases and numbers of three digits and more, as `plain` writes them.

    A single capitalised word at the start of a sentence is a name only where it is no common word; longer
    phrases lend their parts too, so that "Ada Lovelace" meets "Lovelace".
    """
    found: set[str] = set()
    for match in _CAPITALS.finditer(text):
        words = [word for word in plain(match.group()).split() if word not in STOP_WORDS]
        while words and words[0].isdigit():  # "In 1843 Ada Lovelace": the year is no part of the name
            del words[0]
        if not words:
            continue
        found.add(" ".join(words))
        found.update(word for word in words if len(word) > _LEAST)
    found.update(number for number in re.findall(r"\d{3,}", text))
    return frozenset(found)


def mentions(texts: Sequence[str], keys: Sequence[str]) -> list[list[int]]:
    """For each text (as `plain` writes it) the places of the keys it names; empty keys are named by none."""
    return [[place for place, key in enumerate(keys) if key and key in text] for text in texts]
