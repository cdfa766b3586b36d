"""Which sections an answer rests on: by a trailer that users never see, or by rare words in common."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable

from ctxeng.retrieval.words import terms
from ctxeng.turn import Answer, Chunk, Context, Message, Note, Opaque, Part, Section, Text, Tool

INSTRUCTION = (
    "End with a line that names the notes and documents you used: Cited: [id], [id]. "
    "If you used none: Cited: none."
)

_BOLD = r"(?:\*\*|__)?"
_ITEM = r"(?:\[[^\]\n]*\]|[\w.:/#@-]+)"
_TRAILER = re.compile(
    rf"(?:\A|\s*\n)[ \t]*{_BOLD}cited{_BOLD}:{_BOLD}[ \t]*\n?[ \t]*"
    rf"({_ITEM}(?:[ \t]*[,;][ \t]*{_ITEM}|[ \t]*\[[^\]\n]*\])*)[ \t]*\.?\s*\Z",
    re.IGNORECASE,
)
_REF = re.compile(r"\[([^\]\n]*)\]|([\w.:/#@-]+)")
_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"\S+")
_MARKER = "cited"

_MOST, _ENOUGH, _SHARED = 5, 0.5, 2  # sections by overlap; of the best score; rare words in common


def split_citations(text: str) -> tuple[str, tuple[str, ...] | None]:
    """The text without its citations trailer, and the refs named there; None where there is no trailer."""
    found = _TRAILER.search(text)
    if found is None:
        return text, None
    named = [first or second for first, second in _REF.findall(found[1])]
    refs = dict.fromkeys(ref.strip(" `\"'").rstrip(".") for ref in named)
    return text[: found.start()], tuple(ref for ref in refs if ref and ref.lower() != "none")


def attribute(answer: Answer, context: Context) -> Answer:
    """The answer without its trailer, with the refs it rests on: "cited" by the model, else by "overlap".

    Only refs that are in the context count.
    """
    text, named = split_citations(answer.text)
    if named is None:
        cited, how = by_overlap(text, context.of("playbook", "chunk", "summary")), "overlap"
    else:
        cited, how = tuple(ref for ref in named if ref in context.refs), "cited"
    message = answer.message
    if named is not None:
        parts: list[Part] = [part for part in message.parts if not isinstance(part, Text)]
        ahead = sum(isinstance(part, Opaque) for part in parts)  # thinking stays before what it led to
        parts.insert(ahead, Text(text=text))
        message = message.model_copy(update={"parts": tuple(parts)})
    return answer.model_copy(update={"message": message, "cited": cited, "attribution": how})


def by_overlap(text: str, sections: Iterable[Section]) -> tuple[str, ...]:
    """Refs of the sections that share the most rare words with the text, best first, five at most.

    A word counts by how few of the sections have it, and little in a long section.
    """
    words = {section.ref: set(terms(_said(section))) for section in sections if section.ref}
    having = Counter(word for found in words.values() for word in found)
    answered = set(terms(text))
    scores: dict[str, float] = {}
    for ref, found in words.items():
        shared = found & answered
        if len(shared) >= min(_SHARED, len(found)) > 0:
            rarity = sum(math.log((len(words) + 1) / having[word]) for word in sorted(shared))
            scores[ref] = rarity / math.sqrt(len(found))
    least = _ENOUGH * max(scores.values(), default=0.0)
    ranked = sorted(scores, key=lambda ref: -scores[ref])
    return tuple(ref for ref in ranked[:_MOST] if scores[ref] >= least)


class CitationFilter:
    """Passes a stream's text on, and holds back what may be the trailer until that is settled.

    What comes out in all is the text of `split_citations`, however the stream was cut. `close` ends it.
    """

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit
        self._held = ""
        self._line_start = True

    def feed(self, piece: str) -> None:
        """Take the next piece."""
        text = self._held + piece
        done = 0
        while True:
            space = _SPACE.match(text, done)
            assert space is not None
            word = _WORD.match(text, space.end())
            starts = "\n" in space[0] or self._line_start
            if word is None or (starts and word[0][0] in "cC*_" and _may_be_trailer(text[word.start() :])):
                break
            done = word.end()
            self._line_start = False
        self._held = text[done:]
        if done:
            self._emit(text[:done])

    def close(self) -> None:
        """The stream is over: what was held back comes out, unless it is the trailer."""
        held, self._held = self._held, ""
        before = "" if self._line_start else "."  # the trailer stands at the start of a line
        text = split_citations(before + held)[0][len(before) :]
        if text:
            self._emit(text)
        self._line_start = True


def _may_be_trailer(line: str) -> bool:
    """Whether more text could make a trailer of this."""
    said = line.lower().lstrip("*_")
    if len(said) < len(_MARKER):
        return _MARKER.startswith(said)
    after = said.removeprefix(_MARKER).lstrip("*_")
    if not said.startswith(_MARKER) or (after and after[0] != ":"):
        return False
    return "\n" not in after[1:].strip().lstrip("*_").strip()


def _said(section: Section) -> str:
    match section.body:
        case str(text):
            return text
        case Note(text=text, when=when):
            return f"{when} {text}"
        case Chunk(text=text, title=title):
            return f"{title} {text}"
        case Message() as message:
            return message.text
        case Tool(description=description):
            return description
