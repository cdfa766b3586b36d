"""Turn questions and choices into vectors to compare: three views of a question, two of a choice."""

import math
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ctxeng.models.evidence.text import Reading, name_words, read, stem, words
from ctxeng.models.evidence.types import Embed, Vectors
from ctxeng.turn import Choice

WINDOW_CHARS = 120  # on each side of the span, for the masked view
NEAR_WORDS = 10  # on each side of the span, for the lexical view
PAIRED_WORDS = 8  # on each side, for pairs of neighbouring words
DECAY = 0.15  # a word at distance i (0 = next to the span) weighs 1 / (1 + DECAY i)
SIDED = 0.7  # weight of "this word, on this side" beside "this word"
PAIRED = 0.5  # weight of "these two words, on this side"
SHORT = 3  # letters: words up to this length, numbers and marks tell little ...
LIGHT = 0.4  # ... and weigh this much
SILENT = frozenset('.,()"')  # marks that tell nothing
LONG_NUMBER = 4  # digits: longer whole numbers are alike
WORD_BINS = 2048  # hashed features of the words near the span
FORM_BINS = 512  # hashed features of the span's own form
TINY = 1e-9

_YEAR = re.compile(r"(?:19|20)\d\d")


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
    """`c` choices: (c, d) embeddings of their names, (c, w) weighted words of them, and those `w` words."""

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
    sides = {"L": words(reading.left)[::-1], "R": words(reading.right)}
    near: defaultdict[str, float] = defaultdict(float)
    for side, line in sides.items():
        stems = [stem(word) for word in line[:NEAR_WORDS]]
        for distance, word in enumerate(stems):
            if word in SILENT:
                continue
            fade = 1 / (1 + DECAY * distance)
            weight = fade if word.isalpha() and len(line[distance]) > SHORT else fade * LIGHT
            near[f"w {word}"] += weight
            near[f"{side} {word}"] += weight * SIDED
        for distance, pair in enumerate(pairwise(stems[:PAIRED_WORDS])):
            near[f"{side} {pair}"] += PAIRED / (1 + DECAY * distance)
    before, after = (next(iter(line), "") for line in sides.values())
    form = [*_form(reading.span), f"before {before}", f"after {after}", f"between {before} {after}"]
    return unit(np.concatenate([unit(_hashed(near, WORD_BINS)), unit(_hashed(Counter(form), FORM_BINS))]))


def unit(vectors: Vectors) -> Vectors:
    """Rows scaled to length one; rows of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Vectors = vectors / np.maximum(lengths, np.float32(TINY))
    return scaled


def _form(span: str) -> list[str]:
    """What kind of value a span is: a word, or a number of some notation and size."""
    digits = sum(character.isdigit() for character in span)
    if not digits:
        return ["word"]
    size = sum(character.isdigit() for character in span.partition(".")[0].lstrip("0"))
    notation = "decimal" if "." in span else "grouped" if "," in span else f"whole {min(digits, LONG_NUMBER)}"
    return ["number", f"notation {notation}", f"size {size}"] + (["year"] if _YEAR.fullmatch(span) else [])


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
