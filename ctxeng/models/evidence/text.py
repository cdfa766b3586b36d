"""Read a question: the span it points at, the text around that span, and the words of a name."""

import re
from dataclasses import dataclass

HEAD_CHARS = 60  # of the question before the pointed-at span: enough to tell one kind of question from another
SIDE_CHARS = 180  # of the text on each side of the span
PLAIN_CHARS = 700  # of a question that points at nothing
LONGEST_SPAN = 80  # a longer quotation is a text, not a pointer into one
MASK = "_"  # stands for the pointed-at span where its own words would mislead

_QUOTED = re.compile(r'"([^"\n]{1,%d})"|“([^”\n]{1,%d})”' % (LONGEST_SPAN, LONGEST_SPAN))
_LEAD_IN = re.compile(r'[^"“:\n]{0,40}:\s*["“]?')  # ` in sentence: "`
_WORD = re.compile(r"[^\W\d_]+|\d[\d.,]*\d|\d|[^\w\s]", re.UNICODE)
_NAME = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_a-zA-Z]+")
_CUT = "… "


@dataclass(frozen=True)
class Reading:
    """A question taken apart: what it points at (empty if nothing), and the text before and after it."""

    head: str
    span: str
    left: str
    right: str

    @property
    def context(self) -> str:
        """The text pointed into, with the span in its place."""
        return f"{self.left}{self.span}{self.right}".strip()

    def window(self, chars: int) -> str:
        """`chars` characters on each side, the span masked."""
        if not self.span:
            return self.context
        return f"{_last(self.left, chars)} {MASK} {_first(self.right, chars)}".strip()


def read(text: str) -> Reading:
    """Take `text` apart at the first quoted span that occurs again outside its quotes."""
    for match in _QUOTED.finditer(text):
        span = (match[1] or match[2]).strip()
        if not span:
            continue
        bounded = re.compile(rf"(?<![\w]){re.escape(span)}(?![\w])")
        after = text[match.end() :]
        lead = _LEAD_IN.match(after)
        start = lead.end() if lead else 0
        found = bounded.search(after, start)
        if found:
            head = _last(text[: match.start()].strip(), HEAD_CHARS)
            left = _last(after[start : found.start()], SIDE_CHARS)
            return Reading(head, span, left, _first(after[found.end() :], SIDE_CHARS))
    return Reading("", "", _ends(text.strip(), PLAIN_CHARS), "")


def cue(text: str) -> str:
    """The part of a question worth storing: `cue(cue(x)) == cue(x)`, and both read alike."""
    reading = read(text)
    if not reading.span:
        return reading.left
    return f'{reading.head} "{reading.span}": {reading.left}{reading.span}{reading.right}'.strip()


def words(text: str) -> list[str]:
    """Lower-case words, numbers and marks, in order."""
    return [match.lower() for match in _WORD.findall(text)]


def name_words(name: str) -> list[str]:
    """Lower-case words of a CamelCase, snake_case or plain name."""
    return [match.lower() for match in _NAME.findall(name)]


def stem(word: str) -> str:
    """The word without its commonest English endings; a crude match between a sentence and a name."""
    for ending in ("ations", "ation", "ments", "ment", "ings", "ing", "ies", "ed", "es", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def _first(text: str, chars: int) -> str:
    if len(text) <= chars:
        return text
    cut = text[:chars]
    return cut[: cut.rfind(" ") + 1].rstrip() or cut


def _last(text: str, chars: int) -> str:
    if len(text) <= chars:
        return text
    cut = text[-chars:]
    return cut[cut.find(" ") + 1 :] or cut


def _ends(text: str, chars: int) -> str:
    if len(text) <= chars:
        return text
    half = (chars - len(_CUT)) // 2
    return f"{_first(text, half)} {_CUT}{_last(text, half)}"
