"""Names in a text: words without case, plural, accents and punctuation; known names and capitalised runs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from ctxeng.retrieval.words import STOP_WORDS

Span = tuple[int, int]  # words of a sentence: from, up to

# "U.S." is one word, "O'Brien's" another; "C++", "C#" and "-5" are not "C" and "5"
_WORD = re.compile(r"(?:[^\W\d_]\.){2,}|(?<!\w)-\d\w*|\w+(?:['\u2019]\w+)*(?:\+\+|#)?")
_PARENTHESIS = re.compile(r"\s*\([^)]*\)\s*")
_POSSESSIVE = re.compile(r"['\u2019]s\Z")
_GLUE = frozenset({" ", "-", "\u2013", "\n", ". ", " & "})
_LISTED = "of the de del der den di da du la le van von"
_INSIDE = frozenset(_LISTED.split())  # small words within a name
_CALENDAR = """
january february march april may june july august september october november december
monday tuesday wednesday thursday friday saturday sunday
"""
_DATES = frozenset(_CALENDAR.split())
_LONGEST = 10  # words of a name
_SHORT = 4  # letters of a word whose last "s" is part of it


class Word(NamedTuple):
    """A word of a text, its characters, and whether only a space or a hyphen is between it and the last."""

    key: str
    start: int
    end: int
    capital: bool
    glued: bool


def words_of(text: str) -> list[Word]:
    """The words in order."""
    found: list[Word] = []
    end = 0
    for match in _WORD.finditer(text):
        gap = text[end : match.start()]
        # a full stop joins after an initial only: "J. Smith"
        glued = gap in _GLUE and (gap != ". " or (bool(found) and len(found[-1].key) == 1))
        start = match.start()
        end = start + len(_POSSESSIVE.sub("", match.group()))  # "Cameron's Titanic" is no name
        found.append(Word(normal(match.group()), start, end, text[start].isupper(), glued))
    return found


@lru_cache(maxsize=65_536)
def normal(word: str) -> str:
    """The word without case, possessive, accents, dots and the s of a plural."""
    if not word.isascii():
        word = "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))
    plain = _POSSESSIVE.sub("", word.casefold()).replace(".", "").replace("'", "").replace("\u2019", "")
    if len(plain) <= _SHORT or not plain.endswith("s") or plain.endswith(("ss", "us", "is")):
        return plain
    return f"{plain[:-3]}y" if plain.endswith("ies") else plain[:-1]


@lru_cache(maxsize=65_536)
def key_of(name: str) -> str:
    """What two spellings of one name have in common; "" where there is no word in it."""
    return " ".join(word.key for word in words_of(name))


def short_name(title: str) -> str:
    """What a text would call the thing of this title: the last of a heading path, without a parenthesis."""
    last = title.rpartition(" > ")[2].strip()
    return _PARENTHESIS.sub(" ", last).strip() or last


def runs(words: Sequence[Word]) -> Iterator[Span]:
    """Capitalised names of two words and more, stop words at their ends left out.

    "of" and the like are part of a name between capitals, digits behind one; "and" and a comma end it. A
    month with its day or year is no name.
    """
    start = 0
    while start < len(words):
        if not words[start].capital or words[start].key in STOP_WORDS:
            start += 1
            continue
        end = _run_end(words, start)
        named = [word for word in words[start:end] if word.capital]
        long_enough = end - start > 1 and not (len(named) == 1 and named[0].key in _DATES)
        if long_enough and end - start <= _LONGEST:
            yield start, end
        start = end


def _run_end(words: Sequence[Word], start: int) -> int:
    """Behind the last capital or number of the run that starts here."""
    end = place = start + 1
    while place < len(words) and words[place].glued:
        word = words[place]
        if word.capital or word.key.isdigit():
            end = place + 1
        elif word.key not in _INSIDE:
            break
        place += 1
    return end


@dataclass
class Names:
    """Known names, found in a text longest first.

    A name of one word is found where the text writes it with a capital, as the name is, and not inside a
    longer capitalised name ("Washington" is not in "Washington Post"). What two things are called is the
    name of neither.
    """

    _owners: dict[str, int | None] = field(default_factory=dict)  # by key; None: of several
    _capital: dict[str, bool] = field(default_factory=dict)
    _lengths: dict[str, list[int]] = field(default_factory=dict)  # by first word, longest first

    def add(self, name: str, owner: int, *, capital: bool) -> None:
        """Remember a name of the thing at this place; `capital`: a text has to begin it with one."""
        words = [word.key for word in words_of(name)]
        key = " ".join(words)
        if not words or len(words) > _LONGEST or _says_little(words):
            return
        if key in self._owners:
            self._owners[key] = owner if self._owners[key] == owner else None
            self._capital[key] = self._capital[key] and capital
            return
        self._owners[key], self._capital[key] = owner, capital
        lengths = self._lengths.setdefault(words[0], [])
        if len(words) not in lengths:
            lengths.append(len(words))
            lengths.sort(reverse=True)

    def find(
        self, words: Sequence[Word], nearby: Mapping[str, int] | None = None, *, careful: bool = True
    ) -> list[int]:
        """Whose names stand there, each once, in their order; not `careful`: case does not matter.

        `nearby` are one-word names that hold for this text alone, before any other of one word.
        """
        found: dict[int, None] = {}
        place = 0
        while place < len(words):
            owner, length = self._longest(words, place, nearby or {}, careful=careful)
            if owner is not None:
                found[owner] = None
            place += length
        return list(found)

    def owned(self, name: str) -> bool:
        """Whether this very name is known."""
        return key_of(name) in self._owners

    def _longest(
        self, words: Sequence[Word], place: int, nearby: Mapping[str, int], *, careful: bool
    ) -> tuple[int | None, int]:
        """Whose the longest name is that begins here (None: nobody's), and how many words it has, or 1."""
        first = words[place]
        for length in self._lengths.get(first.key, ()):
            if length == 1 and first.key in nearby:
                break
            key = " ".join(word.key for word in words[place : place + length])
            if key in self._owners and (not careful or self._written(words, place, length, key)):
                return self._owners[key], length
        if first.key in nearby and first.capital and not _in_longer(words, place):
            return nearby[first.key], 1
        return None, 1

    def _written(self, words: Sequence[Word], place: int, length: int, key: str) -> bool:
        if self._capital[key] and not words[place].capital:
            return False
        return length > 1 or not _in_longer(words, place)


def _says_little(words: Sequence[str]) -> bool:
    return all(word in STOP_WORDS for word in words) or (len(words) == 1 and len(words[0]) < 3)  # noqa: PLR2004


def _in_longer(words: Sequence[Word], place: int) -> bool:
    """Whether a capitalised neighbour makes this one word part of a longer name."""
    if not words[place].capital:
        return False
    before = place > 0 and words[place].glued and _begins(words[place - 1])
    after = place + 1 < len(words) and words[place + 1].glued and _begins(words[place + 1])
    return before or after


def _begins(word: Word) -> bool:
    return word.capital and word.key not in STOP_WORDS
