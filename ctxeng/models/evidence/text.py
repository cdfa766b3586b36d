"""Read a question: the span it points at, the text around that span, and the words of a name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

HEAD_CHARS = (
    60  # of the question before the pointed-at span: enough to tell one kind of question from another
)
SIDE_CHARS = 180  # of the text on each side of the span
PLAIN_CHARS = 700  # of a question that points at nothing
LONGEST_SPAN = 80  # a longer quotation is a text, not a pointer into one
SHORTEST_STEM = 3
SAME_TEXT = 0.5  # of the words of the shorter of two cues, from where on they point into one text
MASK = "_"  # stands for the pointed-at span, whose own digits or letters would mislead a comparison

_QUOTED = re.compile(rf'"([^"\n]{{1,{LONGEST_SPAN}}})"|“([^”\n]{{1,{LONGEST_SPAN}}})”')
_LEAD_IN = re.compile(r'(?:[^"“:\n]{0,40}:)?[\s"“]*')  # ` in sentence: "`
_WORD = re.compile(r"[^\W\d_]+|\d[\d.,]*\d|\d|[^\w\s]")
_NAME_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_]+")
_ENDINGS = ("ations", "ation", "ments", "ment", "ings", "ing", "ies", "ed", "es", "s", "e", "y")
_CUT = "…"


@dataclass(frozen=True)
class Reading:
    """A question taken apart: the span it points at (empty if none) and the text before and after it."""

    head: str
    span: str
    left: str
    right: str

    @property
    def context(self) -> str:
        """The text pointed into, the span in its place."""
        return f"{self.left}{self.span}{self.right}".strip()

    def window(self, chars: int) -> str:
        """At most `chars` characters each side of the masked span; the whole text where there is none."""
        if not self.span:
            return self.context
        return f"{_end(self.left, chars)} {MASK} {_start(self.right, chars)}".strip()


def read(text: str) -> Reading:
    """Take `text` apart at its first quoted span that occurs again after the quotation."""
    for match in _QUOTED.finditer(text):
        span = (match[1] or match[2]).strip()
        after = text[match.end() :]
        lead = _LEAD_IN.match(after)
        start = lead.end() if lead else 0
        found = re.compile(rf"(?<!\w){re.escape(span)}(?!\w)").search(after, start) if span else None
        if found:
            head = _end(text[: match.start()].strip(), HEAD_CHARS)
            left = _end(after[start : found.start()], SIDE_CHARS).lstrip(' "“')
            return Reading(head, span, left, _start(after[found.end() :], SIDE_CHARS).rstrip())
    return Reading("", "", _both_ends(text.strip(), PLAIN_CHARS), "")


def cue(text: str) -> str:
    """The part of a question worth storing as an entry's `when`.

    `read` finds in it what it finds in the question, so a model may be given either; `cue(cue(x)) == cue(x)`.
    """
    reading = read(text)
    if not reading.span:
        return reading.left
    return f'{reading.head} "{reading.span}": {reading.left}{reading.span}{reading.right}'.strip()


def kin(cues: Sequence[str]) -> list[str]:
    """A group for each cue: those in a row that share half of their words point into the same text.

    Questions about one text tend to be learned together, and would vouch for each other in a fit.
    """
    groups: list[str] = []
    before: set[str] = set()
    for number, cue_text in enumerate(cues):
        now = set(words(read(cue_text).context))
        same = bool(groups) and len(now & before) >= SAME_TEXT * max(1, min(len(now), len(before)))
        groups.append(groups[-1] if same else f"text-{number}")
        before = now
    return groups


def words(text: str) -> list[str]:
    """Lower-case words, numbers and marks, in order."""
    return [word.lower() for word in _WORD.findall(text)]


def name_words(name: str) -> list[str]:
    """Lower-case words of a CamelCase, snake_case or plain name; the name itself where it has none."""
    return [word.lower() for word in _NAME_WORD.findall(name)] or [name.lower()]


def stem(word: str) -> str:
    """The word without one common English ending: enough to match a sentence with a name."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= SHORTEST_STEM:
            return word.removesuffix(ending)
    return word


def _start(text: str, chars: int) -> str:
    """The first `chars` characters, less a word cut in two."""
    if len(text) <= chars:
        return text
    return text[:chars].rpartition(" ")[0] or text[:chars]


def _end(text: str, chars: int) -> str:
    """The last `chars` characters, less a word cut in two."""
    if len(text) <= chars:
        return text
    return text[-chars:].partition(" ")[2] or text[-chars:]


def _both_ends(text: str, chars: int) -> str:
    """A long text's beginning and end: instructions tend to stand at one, the question at the other."""
    if len(text) <= chars:
        return text
    half = (chars - len(_CUT) - 2) // 2
    return f"{_start(text, half)} {_CUT} {_end(text, half)}"
