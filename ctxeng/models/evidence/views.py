"""Turn questions and choices into vectors to compare: three views of a question, two of a choice."""

import math
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from ctxeng.models.evidence.text import Reading, name_words, read, stem, words
from ctxeng.models.evidence.types import Choice, Embed, Vectors

WINDOW_CHARS = 120  # on each side of the span, for the masked view
NEAR_WORDS = 6  # on each side of the span, for the lexical view
DECAY = 0.2  # a word at distance i (0 = next to the span) weighs 1 / (1 + DECAY i)
SIDED = 0.7  # weight of "this word, on this side" beside "this word"
WORD_BINS = 2048  # hashed features of the words near the span
FORM_BINS = 512  # hashed features of the span's own form
TINY = 1e-9

_RUN = re.compile(r"(.)\1+")


@dataclass(frozen=True)
class Questions:
    """`n` questions in three views, and the words they share with the choices.

    whole: (n, d) embeddings of the text pointed into; masked: (n, d) of a window with the span masked;
    near: (n, WORD_BINS + FORM_BINS) words beside the span and its form; said: (n, w) choice words that occur.
    Rows have length one, or zero where there is nothing to say.
    """

    whole: Vectors
    masked: Vectors
    near: Vectors
    said: Vectors

    def rows(self, first: int, last: int) -> "Questions":
        """The questions from `first` to `last` (excluded)."""
        part = slice(first, last)
        return Questions(self.whole[part], self.masked[part], self.near[part], self.said[part])


@dataclass(frozen=True)
class Offer:
    """`c` choices: (c, d) embeddings of their names, (c, w) weighted words of the names, and the `w` words."""

    meaning: Vectors
    worded: Vectors
    weights: dict[str, tuple[int, float]]

    @classmethod
    def of(cls, choices: Sequence[Choice], embed: Embed) -> "Offer":
        """Words weigh log(1 + c / choices that have them), the usual inverse document frequency."""
        names = [" ".join(name_words(choice.value)) for choice in choices]
        texts = [f"{name}: {c.about}" if c.about else name for name, c in zip(names, choices, strict=True)]
        bags = [{stem(word) for word in words(text)} for text in texts]
        rarity = Counter(word for bag in bags for word in bag)
        weights = {
            word: (column, math.log1p(len(choices) / count))
            for column, (word, count) in enumerate(sorted(rarity.items()))
        }
        return cls(embed(texts), unit(_bag(bags, weights)), weights)


@dataclass(frozen=True)
class Parsed:
    """One question read: what can be kept between fits, as it depends on the text alone."""

    reading: Reading
    near: Vectors
    said: frozenset[str]

    @classmethod
    def of(cls, text: str) -> "Parsed":
        """The question `text`, or the cue of one."""
        reading = read(text)
        return cls(reading, nearby(reading), frozenset(stem(word) for word in words(reading.context)))


def questions(asked: Sequence[Parsed], offer: Offer, embed: Embed) -> Questions:
    """The views of the questions asked."""
    if not asked:
        none = np.zeros((0, offer.meaning.shape[1]), np.float32)
        return Questions(
            none, none, np.zeros((0, WORD_BINS + FORM_BINS), np.float32), _bag([], offer.weights)
        )
    texts = [one.reading.context for one in asked] + [one.reading.window(WINDOW_CHARS) for one in asked]
    vectors = embed(texts)
    return Questions(
        whole=vectors[: len(asked)],
        masked=vectors[len(asked) :],
        near=np.stack([one.near for one in asked]),
        said=unit(_bag([one.said for one in asked], offer.weights)),
    )


def nearby(reading: Reading) -> Vectors:
    """(WORD_BINS + FORM_BINS,) hashed features of the words beside the span and of the span's form.

    Hashing with signs after Weinberger et al. 2009. A question that points at nothing has the words of all
    its text, unordered.
    """
    if not reading.span:
        bag = {f"w {stem(word)}": 1.0 for word in words(reading.context)}
        return unit(np.concatenate([_hashed(bag, WORD_BINS), np.zeros(FORM_BINS, np.float32)]))
    sides = {"L": words(reading.left)[::-1][:NEAR_WORDS], "R": words(reading.right)[:NEAR_WORDS]}
    near: defaultdict[str, float] = defaultdict(float)
    for side, neighbours in sides.items():
        for distance, word in enumerate(neighbours):
            weight = 1 / (1 + DECAY * distance)
            near[f"w {stem(word)}"] += weight
            near[f"{side} {stem(word)}"] += weight * SIDED
    form = {f"form {_form(reading.span)}": 1.0, f"length {len(reading.span)}": 1.0}
    form |= {f"next {side} {next(iter(neighbours), '')}": 1.0 for side, neighbours in sides.items()}
    parts = [unit(_hashed(near, WORD_BINS)), unit(_hashed(form, FORM_BINS))]
    return unit(np.concatenate(parts))


def unit(vectors: Vectors) -> Vectors:
    """Rows scaled to length one; rows of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Vectors = vectors / np.maximum(lengths, np.float32(TINY))
    return scaled


def _form(span: str) -> str:
    """`1,250.5` -> `9,9.9`, `Net5` -> `Aa9`: the span's kinds of characters, runs shortened."""
    kinds = ("9" if c.isdigit() else "A" if c.isupper() else "a" if c.isalpha() else c for c in span)
    return _RUN.sub(r"\1", "".join(kinds))


def _hashed(bag: Mapping[str, float], bins: int) -> Vectors:
    row = np.zeros(bins, np.float32)
    for feature, weight in bag.items():
        code = zlib.crc32(feature.encode("utf-8", "replace"))
        row[code % bins] += weight if code >> 31 else -weight
    return row


def _bag(bags: Iterable[AbstractSet[str]], weights: dict[str, tuple[int, float]]) -> Vectors:
    rows = []
    for bag in bags:
        row = np.zeros(len(weights), np.float32)
        for word in bag & weights.keys():
            column, weight = weights[word]
            row[column] = weight
        rows.append(row)
    return np.stack(rows) if rows else np.zeros((0, len(weights)), np.float32)
