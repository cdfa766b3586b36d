"""A summary without a model: the lines of a session that cover most of it, chosen under a budget."""

from __future__ import annotations

import math
import re
from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import zip_longest

from ctxeng.memory.summary import Folded
from ctxeng.retrieval.words import terms
from ctxeng.text.sentences import sentences
from ctxeng.tokens import Counter

_HEAD = re.compile(r"^(?:- )?\[(m\d+) (\w+)\] ", re.MULTILINE)
_NUMBER = re.compile(r"\d")
_NAME = re.compile(r"(?<=[a-z,;:] )[A-Z][\w'-]+|\b[A-Z][A-Z0-9_-]{2,}\b|\w+[_/@.]\w[\w/@.-]*")
_PER_TOKEN = 0.5  # gain is divided by tokens to this power: short lines that say as much come first
_SPEAKER = {"user": 1.5, "assistant": 1.0, "tool": 0.8, "system": 0.8}
_LONGEST = 400  # characters of one line


@dataclass(frozen=True)
class Line:
    """A sentence, list item or value of a record, with who said it."""

    place: int
    source: str
    role: str
    text: str
    terms: frozenset[str] = field(default_factory=frozenset)

    @property
    def shown(self) -> str:
        """The line as it stands in a summary; read again, it keeps its source."""
        return f"- [{self.source} {self.role}] {self.text}"


@dataclass(frozen=True)
class ExtractiveSummarizer:
    """Chooses lines of the old summary and the new text by what they cover that no chosen line does.

    A term weighs its rarity among the lines; numbers, names and paths weigh double, what users say more than
    what tools return, and of two lines that differ in their numbers alone the later one stays. Each line is
    chosen by gain per square root of its tokens (a greedy cover under a budget; Lin and Bilmes 2010), and
    stands where it was said, with its record's id. Deterministic; never over the room.
    """

    count: Counter
    recent: float = 0.5  # by how much the last line weighs more than the first

    def fold(self, summary: str, text: str, room: int) -> Folded:
        """The lines that stand for both, oldest first, in at most `room` tokens."""
        lines = _newest_of(list(_lines(summary, text)))
        chosen = sorted(self._chosen(lines, room), key=lambda line: line.place)
        while chosen and self.count.count("\n".join(line.shown for line in chosen)) > room:
            chosen.pop(0)  # joined, they cost more than one by one
        return Folded("\n".join(line.shown for line in chosen))

    def _chosen(self, lines: Sequence[Line], room: int) -> Iterator[Line]:
        seen = Tally(term for line in lines for term in line.terms)
        weights = {term: _weight(term, count, len(lines)) for term, count in seen.items()}
        costs = [self.count.count(line.shown) + 1 for line in lines]
        covered: set[str] = set()

        def value(place: int) -> float:
            line = lines[place]
            gain = sum(weights[term] for term in line.terms if term not in covered)
            new = 1 + self.recent * place / max(1, len(lines) - 1)
            return gain * new * _SPEAKER.get(line.role, 1.0) / float(costs[place] ** _PER_TOKEN)

        heap = [(-value(place), place) for place in range(len(lines))]
        heapify(heap)
        while heap:
            old, place = heappop(heap)
            if costs[place] > room or old == 0:
                continue
            now = -value(place)  # gains only fall: the first that keeps its place is the best (lazy greedy)
            if heap and now > heap[0][0]:
                heappush(heap, (now, place))
                continue
            room -= costs[place]
            covered |= lines[place].terms
            yield lines[place]


def _lines(*texts: str) -> Iterator[Line]:
    place = 0
    for text in texts:
        for source, role, said in _records(text):
            for piece in _pieces(said):
                yield Line(place, source, role, piece, frozenset(_terms(piece)))
                place += 1


def _records(text: str) -> Iterator[tuple[str, str, str]]:
    """Source, role and words of each record in a text; words before the first go on with one cut before."""
    heads = list(_HEAD.finditer(text))
    first = heads[0].start() if heads else len(text)
    if text[:first].strip():
        yield "m0", "assistant", text[:first]
    for head, following in zip_longest(heads, heads[1:]):
        yield head[1], head[2], text[head.end() : following.start() if following else len(text)]


def _pieces(said: str) -> Iterator[str]:
    for start, end in sentences(said):
        words = " ".join(said[start:end].split())
        for cut in range(0, len(words), _LONGEST):
            if words[cut : cut + _LONGEST].strip():
                yield words[cut : cut + _LONGEST].strip()


def _terms(text: str) -> Iterator[str]:
    yield from terms(text)
    yield from (f"={name}" for name in _NAME.findall(text))
    yield from (f"#{word}" for word in text.split() if _NUMBER.search(word))


def _weight(term: str, count: int, lines: int) -> float:
    rare = math.log(1 + lines / count)
    return rare if term[0] in "=#" else rare / 2


def _newest_of(lines: Sequence[Line]) -> list[Line]:
    """Without what is said again: of lines that are alike but for their numbers, the last."""
    latest = {(line.role, _NUMBER.sub("0", line.text.casefold())): line for line in lines}
    return sorted(latest.values(), key=lambda line: line.place)
