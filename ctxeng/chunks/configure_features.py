"""What a configuration is picked by: the kind of question, what it is about, and how its candidates look."""

from __future__ import annotations

import re
import zlib

import numpy as np
from numpy.typing import NDArray

from ctxeng.chunks.pool import Floats, Pool

_VERSION = 1  # raise it with every change of a feature: agents and logs of another version are refused
_BUCKETS = 16  # the query's embedding is folded into so many numbers

KINDS = ("who", "what", "when", "where", "which", "why", "how", "amount", "yes or no")
_ASKING = re.compile(r"\b(how (?:many|much|long|often)|who|whom|whose|what|when|where|which|why|how)\b")
_SAME = {"whom": "who", "whose": "who"}
_AUXILIARIES = re.compile(
    r"is|are|was|were|am|do|does|did|has|have|had|can|could|will|would|should|may", re.IGNORECASE
)
_COMPARING = re.compile(
    r"\b(both|same|than|more|less|fewer|most|least|older|younger|earlier|later|first|last|earliest|latest|"
    r"longer|shorter|larger|smaller|bigger|higher|lower|between|versus|vs|compared?|difference|or|before|after)\b",
    re.IGNORECASE,
)
_NAMED = re.compile(r"\b[A-Z][\w'-]*(?:\s+[A-Z][\w'-]*)*|\"[^\"]+\"")

NAMES = (
    *KINDS,
    *("length", "names", "comparing", "numbers"),
    *("candidates", "room", "best", "mean", "lead", "fifth", "evenness", "spread", "sources", "links"),
    *(f"query {place}" for place in range(_BUCKETS)),
)


def version(encoder: str = "") -> str:
    """Which features these are: agents learn from and decide on one version only."""
    return f"{_VERSION} {encoder}".strip()


def features(pool: Pool, tokens: int, vector: NDArray[np.float32] | None = None) -> Floats:
    """(len(NAMES),): of the question's words, of its pool, of the query's `vector` where there is one."""
    return np.array([*_question(pool.query), *_candidates(pool, tokens), *_folded(vector)])


def kind(question: str) -> str:
    """The kind of a question by its first asking word, "" where it has none."""
    lower = question.lower()
    words = lower.split()
    if words and _AUXILIARIES.fullmatch(words[0]):
        return "yes or no"
    found = _ASKING.search(lower)
    if found is None:
        return ""
    return "amount" if " " in found[1] else _SAME.get(found[1], found[1])


def _question(question: str) -> list[float]:
    asked = kind(question)
    words = re.findall(r"\w+", question)
    _, _, behind = question.strip().partition(" ")  # a sentence's first word is capitalised anyway
    return [
        *(float(asked == each) for each in KINDS),
        float(np.log1p(len(words))),
        float(len(_NAMED.findall(behind))),
        float(len(_COMPARING.findall(question))),
        float(sum(word.isdigit() for word in words)),
    ]


def _candidates(pool: Pool, tokens: int) -> list[float]:
    count = len(pool)
    if not count:
        return [0.0] * 10
    scores = np.sort(pool.relevance)[::-1]
    top = float(scores[0])
    everything = pool.price(range(count))
    shares = scores / scores.sum() if scores.sum() > 0 else np.full(count, 1 / count)
    entropy = -float((shares * np.log(np.maximum(shares, 1e-12))).sum())
    mean = None if pool.vectors is None else pool.vectors.mean(axis=0)
    return [
        float(np.log1p(count)),
        min(1.0, max(0, tokens) / everything) if everything else 1.0,
        top,
        float(scores.mean()),
        top - float(scores[min(1, count - 1)]),
        float(scores[min(4, count - 1)]) / top if top > 0 else 0.0,
        entropy / float(np.log(count)) if count > 1 else 1.0,
        0.0 if mean is None else 1 - float(mean @ mean),
        len({chunk.source for chunk in pool.chunks}) / count,
        0.0 if pool.links is None else float((pool.links > 0).mean()),
    ]


def _folded(vector: NDArray[np.float32] | None) -> Floats:
    """A count sketch of the vector: distances are kept roughly, the text cannot be read back from it."""
    if vector is None:
        return np.zeros(_BUCKETS)
    draws = [zlib.crc32(str(place).encode()) for place in range(len(vector))]
    signs = np.array([1.0 if draw & 1 else -1.0 for draw in draws])
    buckets = np.array([(draw >> 1) % _BUCKETS for draw in draws], dtype=np.int64)
    folded = np.zeros(_BUCKETS)
    np.add.at(folded, buckets, signs * vector)
    return folded
