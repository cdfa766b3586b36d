"""Pieces of a text kept by rank and shown in source order, with a mark wherever something is left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ctxeng.text.sentences import Span, sentences
from ctxeng.tools.clip.asked import Floats
from ctxeng.tools.clip.fit import Fits, most

_LINE = re.compile(r"[^\n]*\n?")
_TRIED = 48  # pieces tried one by one in the room that is left after the best ones
_SENTENCES = 20_000  # characters of a line that is read for sentences; longer ones are no prose


@dataclass(frozen=True)
class Kept:
    """A text, where its pieces stand (in order, no overlap, nothing between), and the pieces by rank."""

    text: str
    spans: Sequence[Span]
    order: Sequence[int]
    what: str = "lines"  # what a line of it is called in a mark
    forms: Sequence[
        int
    ] = ()  # of each piece, where neighbours may be alike: those of one form have one number

    def show(self, chosen: Iterable[int]) -> str:
        """The chosen pieces in source order, with marks for the gaps."""
        shown, before = [], -1
        for place in sorted(chosen):
            start, stop = self.spans[place]
            shown += [self._gap(before, place), self.text[start:stop]]
            before = place
        shown.append(self._gap(before, len(self.spans)))
        return "".join(shown).removesuffix("\n")

    def clip(self, fits: Fits) -> str | None:
        """As many of the best pieces as fit, then smaller ones that still do; None if no piece fits."""
        count = most(lambda best: self.show(self.order[:best]), len(self.order), fits)
        if count < 0:
            return None
        chosen = list(self.order[:count])
        for place in self.order[count : count + _TRIED]:
            if fits(self.show([*chosen, place])):
                chosen.append(place)
        return self.show(chosen) if chosen else None

    def _gap(self, before: int, after: int) -> str:
        """The mark for what is left out between two pieces, or the text itself where that is no longer."""
        if after == before + 1:
            return ""
        start, stop = self.spans[before + 1][0], self.spans[after - 1][1]
        lines = self.text.count("\n", start, stop)
        alike = bool(self.forms) and before >= 0 and self.forms[before] == self.forms[after - 1]
        what = f"{self.what} like the one above" if alike else f"{self.what} left out"
        mark = f"[{lines} {what}]\n" if lines else f"[{stop - start} characters left out]\n"
        if start and self.text[start - 1] != "\n":
            mark = "\n" + mark
        return self.text[start:stop] if stop - start <= len(mark) else mark


def line_spans(text: str) -> list[Span]:
    """Each line with its line break."""
    return [found.span() for found in _LINE.finditer(text) if found[0]]


def piece_spans(text: str, longest: int) -> list[Span]:
    """Lines; one longer than `longest` characters is cut into its sentences, and those into parts."""
    found: list[Span] = []
    for start, stop in line_spans(text):
        if stop - start <= longest:
            found.append((start, stop))
            continue
        edges = [start, stop]
        if stop - start <= _SENTENCES:
            edges = [start, *(start + left for left, _ in sentences(text[start:stop])[1:]), stop]
        for left, right in pairwise(edges):
            found += _parts(left, right, longest)
    return found


def _parts(start: int, stop: int, longest: int) -> list[Span]:
    edges = [*range(start, stop, longest), stop]
    return list(pairwise(edges))


def by_rank(scores: Floats) -> list[int]:
    """The places of the scores, best first, ties in source order."""
    return [int(place) for place in np.argsort(-scores, kind="stable")]


def ends(count: int, head: float, tail: float) -> Floats:
    """How much a piece's place speaks for it, (N,): 1 at the very ends, 1/e `head` or `tail` pieces in."""
    places = np.arange(count)
    found: Floats = np.maximum(np.exp(-places / head), np.exp(-places[::-1] / tail))
    return found


def spread(scores: Floats, share: float) -> Floats:
    """Scores that lend `share` of theirs to the pieces beside them: a match is shown with its context."""
    lent = np.zeros_like(scores)
    lent[1:] = np.maximum(lent[1:], scores[:-1])
    lent[:-1] = np.maximum(lent[:-1], scores[1:])
    found: Floats = np.maximum(scores, share * lent)
    return found
