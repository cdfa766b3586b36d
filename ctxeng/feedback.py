"""The right answer, and what is said of an answer that was given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue

from ctxeng.errors import BadInput
from ctxeng.message import Value, WellFormed

_TOKEN = re.compile(r"\w+|[^\w\s]|\n")
_MOST = 20_000  # tokens that differ: a quarter of a second of comparing


class Truth(Value):
    """The right answer. It lives in a Task only, so that a label cannot leak into a label-free run."""

    target: JsonValue


class Labelled(Value):
    """Feedback from comparing with the truth."""

    type: Literal["labelled"] = "labelled"
    score: float = Field(ge=0, le=1)
    truth: Truth


class Observed(Value):
    """Feedback from the world (a test run, an exit code, a reward) or from a person, without the truth."""

    type: Literal["observed"] = "observed"
    score: float = Field(ge=0, le=1)
    evidence: str = ""


class Unlabelled(Value):
    """No score at all; a comment at most."""

    type: Literal["unlabelled"] = "unlabelled"
    comment: str = ""


class Edited(Value):
    """What the user made of the answer. `score` is what `similarity` says of both; `of` computes it."""

    type: Literal["edited"] = "edited"
    score: float = Field(ge=0, le=1)
    text: WellFormed

    @classmethod
    def of(cls, draft: str, text: str) -> Self:
        """The edit that turned the draft into this text. Raises BadInput for texts too long to compare."""
        return cls(score=similarity(draft, text), text=text)


Feedback = Annotated[Labelled | Observed | Unlabelled | Edited, Field(discriminator="type")]


def similarity(draft: str, text: str) -> float:
    """1 minus the edit distance over words, marks and line breaks, as a share of the longer text's tokens.

    1 is an untouched draft, 0 has nothing left of it. CIPHER's cost of an edit (Gao et al. 2024) counts a
    tokenizer's tokens; words are the same for every model. Raises BadInput above 20,000 differing tokens.
    """
    before, after = tokens(draft), tokens(text)
    longest = max(len(before), len(after))
    return 1 - edit_distance(before, after) / longest if longest else 1.0


def tokens(text: str) -> list[str]:
    """Words, marks and line breaks, as written; of several line breaks in a row, one."""
    found = _TOKEN.findall(text.strip())
    return [each for place, each in enumerate(found) if each != "\n" or found[place - 1] != "\n"]


def edit_distance(first: Sequence[str], second: Sequence[str]) -> int:
    """The least number of insertions, deletions and substitutions (Levenshtein).

    Bit-parallel (Myers 1999, as Hyyro 2003 has it): a column of the table is two integers of len(first)
    bits. Raises BadInput where more than 20,000 tokens differ.
    """
    first, second = _differing(first, second)
    if not first or not second:
        return len(first) + len(second)
    if max(len(first), len(second)) > _MOST:
        raise BadInput(f"texts that differ in over {_MOST} tokens are not compared: give a score instead")
    places: dict[str, int] = {}
    for place, token in enumerate(first):
        places[token] = places.get(token, 0) | 1 << place
    full, last, distance = (1 << len(first)) - 1, len(first) - 1, len(first)
    rises, falls = full, 0  # where the column goes up, and down, by one
    for token in second:
        same = places.get(token, 0)
        across = (((same & rises) + rises) ^ rises) | same
        up, down = falls | (full & ~(across | rises)), rises & across
        distance += (up >> last & 1) - (down >> last & 1)
        up, down = (up << 1 | 1) & full, down << 1 & full
        kept = same | falls
        rises, falls = down | (full & ~(kept | up)), up & kept
    return distance


def _differing(first: Sequence[str], second: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Both without what they begin and end with alike."""
    least = min(len(first), len(second))
    start = next((place for place in range(least) if first[place] != second[place]), least)
    least -= start
    end = next((place for place in range(least) if first[-1 - place] != second[-1 - place]), least)
    return first[start : len(first) - end], second[start : len(second) - end]
