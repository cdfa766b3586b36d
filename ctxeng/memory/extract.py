"""A summary without a model: the lines of a session that cover most of it, chosen under a budget."""

from __future__ import annotations

import math
from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from ctxeng.memory.extract_lines import Line, read_lines
from ctxeng.memory.extract_newest import newest_of
from ctxeng.memory.summary import Folded
from ctxeng.tokens import Counter

_PER_TOKEN = 0.5  # gain is divided by tokens to this power: short lines that say as much come first
_PLAIN = 0.5  # what a plain word weighs beside a number, a name or a path
_SPEAKER = {"user": 2.0, "assistant": 1.0, "tool": 1.2, "system": 0.8}


@dataclass(frozen=True)
class ExtractiveSummarizer:
    """Chooses lines of the old summary and the new text by what they cover that no chosen line does.

    A term weighs its rarity among the lines; numbers, names and paths weigh double, what users say most, and
    of two messages' lines that differ in one value alone the later one stays (`newest_of`). Each line is
    chosen by gain per square root of its tokens (a greedy cover under a budget; Lin and Bilmes 2010), and
    stands where it was said, with its record's id. Deterministic; never over the room.
    """

    count: Counter
    recent: float = 0.1  # by how much the last line weighs more than the first

    def fold(self, summary: str, text: str, room: int) -> Folded:
        """The lines that stand for both, oldest first, in at most `room` tokens."""
        lines = newest_of(read_lines(summary, text))
        chosen = self._chosen(lines, room)
        while chosen and self.count.count(_text(chosen)) > room:
            chosen.pop()  # joined, they cost more than one by one
        return Folded(_text(chosen))

    def _chosen(self, lines: Sequence[Line], room: int) -> list[Line]:
        """The lines that fit, the best first."""
        weights = _weights(lines)
        costs = [self.count.count(line.shown) + 1 for line in lines]
        covered: set[str] = set()
        chosen: list[Line] = []

        def value(at: int) -> float:
            line = lines[at]
            gain = sum(weights[term] for term in line.terms if term not in covered)
            new = 1 + self.recent * at / max(1, len(lines) - 1)
            return gain * new * _SPEAKER.get(line.role, 1.0) / float(costs[at] ** _PER_TOKEN)

        heap = [(-value(at), at) for at in range(len(lines))]
        heapify(heap)
        while heap:
            old, at = heappop(heap)
            if old == 0 or costs[at] > room:
                continue
            now = -value(at)  # gains only fall: the first that keeps its place is the best (lazy greedy)
            if heap and now > heap[0][0]:
                heappush(heap, (now, at))
                continue
            room -= costs[at]
            covered |= lines[at].terms
            chosen.append(lines[at])
        return chosen


def _text(lines: Sequence[Line]) -> str:
    return "\n".join(line.shown for line in sorted(lines, key=lambda line: line.place))


def _weights(lines: Sequence[Line]) -> dict[str, float]:
    """What covering a term is worth: its rarity; half of it for a plain word."""
    seen = Tally(term for line in lines for term in line.terms)
    return {
        term: math.log(1 + len(lines) / times) * (1.0 if term[0] in "=#" else _PLAIN)
        for term, times in seen.items()
    }
