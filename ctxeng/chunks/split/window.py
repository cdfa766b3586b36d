"""Splitting into windows of so many tokens, each repeating the end of the one before."""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ctxeng.chunks.documents.document import Document
from ctxeng.chunks.split.pack import GUESS, reach
from ctxeng.chunks.split.piece import LIMIT, Piece, checked, chunks
from ctxeng.chunks.split.seams import characters, refine, words
from ctxeng.errors import BadInput
from ctxeng.text.sentences import Span
from ctxeng.tokens import Counter, Estimate
from ctxeng.turn import Chunk

_EMPTIEST = 0.6  # a window is at least this full; at .8 an edit moves twice as many
_AROUND = 24  # characters whose hash says how well a window ends there


@dataclass(frozen=True)
class Windows:
    """Windows of at most `limit` tokens that begin with up to `overlap` tokens of the window before.

    They end between words, where the hash of the next characters is smallest in the last two fifths: after an
    edit, windows fall into step with the old ones again, and those far from it stay as they were.
    """

    limit: int = LIMIT
    overlap: int = 32
    counter: Counter = Estimate()

    def __post_init__(self) -> None:
        checked(self.limit)
        if not 0 <= self.overlap <= self.limit // 2:
            raise BadInput(
                f"overlap is {self.overlap} tokens; it lies between 0 and half of limit ({self.limit})"
            )

    def split(self, document: Document) -> list[Chunk]:
        """Chunks of at most `limit` tokens, in order, titled as the document is."""
        return chunks(document, ([Piece(*span)] for span in self._spans(document.text)))

    def _spans(self, text: str) -> Iterator[Span]:
        spans = [part for word in words(text) for part in refine(text, word, (characters,), self._fits)]
        ends = [end for _, end in spans]
        guess = GUESS
        at = done = 0  # the window's first word, and one past the last word of the window before
        while done < len(spans):
            start = spans[at][0]
            full = reach(text, start, ends, at, self._fits, guess)
            guess = ends[full - 1] - start
            if full <= done:  # the repeated words fill the window: do without them
                at = done
                continue
            stop = full if full == len(spans) else _seam(text, spans, at, max(done, at), full)
            yield start, ends[stop - 1]
            at, done = self._back(text, spans, at, stop), stop

    def _fits(self, part: str) -> bool:
        return self.counter.count(part) <= self.limit

    def _back(self, text: str, spans: Sequence[Span], at: int, stop: int) -> int:
        """The first word of the next window: as far back as the overlap goes, and behind this one's first."""
        end = spans[stop - 1][1]
        # twice its share of the words is enough to look at
        first = max(at + 1, stop - 2 * (stop - at) * self.overlap // self.limit)
        behind = [spans[place][0] for place in range(first, stop)]
        return first + bisect_left(
            behind, x=True, key=lambda start: self.counter.count(text[start:end]) <= self.overlap
        )


def _seam(text: str, spans: Sequence[Span], at: int, least: int, full: int) -> int:
    """Where a window ends that begins at `at` and has room up to `full`; behind `least`."""
    begin = spans[at][0]
    enough = begin + _EMPTIEST * (spans[full - 1][1] - begin)
    places = [place for place in range(least + 1, full + 1) if spans[place - 1][1] >= enough]
    return min(
        places, key=lambda place: zlib.crc32(text[spans[place][0] : spans[place][0] + _AROUND].encode())
    )
