"""Small neighbours put together up to the limit, so that an edit moves few of the cuts."""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from ctxeng.chunks.split.piece import Piece
from ctxeng.chunks.split.seams import Fits, Seam, refine
from ctxeng.text.sentences import Span

_EMPTIEST = 0.5  # a chunk is at least this full, where its neighbours allow it
GUESS = 1_000  # characters that may fit, where nothing is known


def pack(text: str, pieces: Sequence[Piece], fits: Fits) -> Iterator[Sequence[Piece]]:
    """Runs of neighbouring pieces of one title, each within the limit.

    A run ends between half full and full: behind a blank line where there is one, and of those places, where
    the next piece has the smallest hash. Cuts hang on what is written around them (content-defined
    chunking), so after an edit they fall into step with the old ones within a few chunks; runs as full as
    can be would all move. No run ends behind a piece that `leads`, where there is another place, and what
    it leads to may have a title of its own.
    """
    guess = GUESS
    changes = [place for place in range(1, len(pieces)) if _parted(*pieces[place - 1 : place + 1])]
    for first, last in zip([0, *changes], [*changes, len(pieces)], strict=True):
        run = pieces[first:last]
        ends = [piece.end for piece in run]
        at = 0
        while at < len(run):
            full = reach(text, run[at].start, ends, at, fits, guess)
            guess = ends[full - 1] - run[at].start if full < len(run) else guess
            stop = full if full == len(run) else _seam(text, run, at, full)
            yield run[at:stop]
            at = stop


def fill(text: str, span: Span, seams: Sequence[Seam], fits: Fits) -> list[Span]:
    """The span where it fits, else parts of it: cut at the coarsest seams that do, and put together again."""
    parts = refine(text, span, seams, fits)
    if len(parts) == 1:
        return parts
    return [(run[0].start, run[-1].end) for run in pack(text, [Piece(*part) for part in parts], fits)]


def reach(text: str, start: int, ends: Sequence[int], first: int, fits: Fits, guess: int) -> int:
    """One past the last of `ends`, from `first` on, up to which the text from `start` fits.

    At least `first` + 1: the shortest is known to fit.

    Asks few times, best where about `guess` characters fit, and never about much more than fits.
    """

    def within(place: int) -> bool:
        return fits(text[start : ends[place]])

    tried = min(max(bisect_right(ends, start + guess) - 1, first), len(ends) - 1)
    step = max(1, (tried - first) // 16)  # doubled until the border lies between `least` and `most`
    if within(tried):
        least, most = tried, len(ends)
        while least + step < most and within(least + step):
            least, step = least + step, 2 * step
        most = min(most, least + step)
    else:
        least, most = first, tried
        while most - step > first and not within(most - step):
            most, step = most - step, 2 * step
        least = max(first, most - step)
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if within(middle) else (least, middle)
    return least + 1


def _parted(before: Piece, piece: Piece) -> bool:
    return before.title != piece.title and not before.leads


def _seam(text: str, run: Sequence[Piece], at: int, full: int) -> int:
    """Where the run that begins at `at` and could go on up to `full` ends."""
    begin = run[at].start
    half = _EMPTIEST * (run[full - 1].end - begin)
    places = [place for place in range(at + 1, full + 1) if not run[place - 1].leads]
    best = [place for place in places if run[place - 1].end >= begin + half] or places[-1:] or [full]
    # near the end of all, leave no crumb
    best = [place for place in best if run[-1].end >= run[place].start + half] or best

    def rank(place: int) -> tuple[bool, int]:
        gap = text[run[place - 1].end : run[place].start]
        return gap.count("\n") < 2, zlib.crc32(text[run[place].start : run[place].end].encode())  # noqa: PLR2004

    return min(best, key=rank)
