"""What an edit changed in the manner of a text, in clauses: rules over draft and edit, no model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ctxeng.feedback import edit_distance, tokens
from ctxeng.playbook.learners.preference_clauses import quoted
from ctxeng.playbook.learners.preference_words import Swap, word_clauses

_GREETING = re.compile(
    r"(hi there|hi|hello|hey|dear|good (?:morning|afternoon|evening)|greetings)\b[^\n,!.:]{0,40}(?:[,!:.]|$)",
    re.IGNORECASE | re.MULTILINE,
)
_CLOSING = re.compile(
    r"(?:(?:kind|best|warm|many) )?(?:regards|wishes|thanks|thank you|cheers|(?:yours )?sincerely|yours|best"
    r"|love)\b[^.?:]{0,30}",
    re.IGNORECASE,
)
_NAME = r"[A-Z][\w'\u2019-]*"
_SIGNATURE = re.compile(rf"(?:\u2014|\u2013|--)?\s*{_NAME}(?: {_NAME}){{0,2}}")
_BULLET = re.compile(r"^[ \t]*[-*•][ \t]+\S", re.MULTILINE)
_NUMBERED = re.compile(r"^[ \t]*\d{1,2}[.)][ \t]+\S", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6} \S", re.MULTILINE)
_EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf]")
_CONTRACTED = re.compile(
    r"\b\w+(?:n['\u2019]t|['\u2019](?:re|ve|ll|d|m))\b|\b(?:it|that|there|what|let)['\u2019]s\b",
    re.IGNORECASE,
)
_SPELT_OUT = re.compile(
    r"\b(?:(?:do|does|did|is|are|was|were|could|should|would|will|have|has|had|can) not|cannot|I am"
    r"|(?:you|we|they) are|(?:it|that|there) is|let us|(?:I|you|we|they) (?:have|will|would))\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
_I = frozenset({"i", "me", "my", "mine", "myself"})
_WE = frozenset({"we", "us", "our", "ours", "ourselves"})
_YOU = frozenset({"you", "your", "yours", "yourself"})
_FEW = 8  # words; of shorter texts the length says little
_SHORTER, _LONGER = 0.75, 1.33


@dataclass(frozen=True)
class Manner:
    """The features of a text that preferences are about."""

    text: str

    @cached_property
    def greeting(self) -> str:
        """The greeting it opens with, "" without one."""
        found = _GREETING.match(self.text.lstrip())
        return found[0] if found else ""

    @cached_property
    def closing(self) -> str:
        """Its last lines, where they take leave or are a name; "" otherwise."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        for count in (3, 2, 1):
            if len(lines) > count and _CLOSING.fullmatch(lines[-count]):
                return "\n".join(lines[-count:])
        return lines[-1] if len(lines) > 1 and _SIGNATURE.fullmatch(lines[-1]) else ""

    @cached_property
    def length(self) -> int:
        """Its words, without those of greeting and closing."""
        around = (self.greeting, self.closing)
        return len(_WORD.findall(self.text)) - sum(len(_WORD.findall(each)) for each in around)

    @cached_property
    def words(self) -> Counter[str]:
        """How often each word stands in it, case folded."""
        return Counter(word.casefold() for word in _WORD.findall(self.text))

    @property
    def exclamations(self) -> int:
        """Its exclamation marks; that of a greeting comes and goes with the greeting."""
        return self.text.count("!") - self.greeting.count("!")

    @property
    def form(self) -> str:
        """How it is laid out, as a clause."""
        bullets, numbered = len(_BULLET.findall(self.text)), len(_NUMBERED.findall(self.text))
        if not bullets and not numbered:
            return "prose without a list"
        return "bullet points" if bullets >= numbered else "a numbered list"

    @property
    def case(self) -> str:
        """Its capitals, as a clause."""
        if self.text.islower():
            return "all lower case"
        return "all capitals" if self.text.isupper() else "the usual capitals"

    def any_of(self, words: frozenset[str]) -> int:
        """How many of its words are among these; "I'm" counts as "I"."""
        return sum(
            count
            for word, count in self.words.items()
            if re.split(r"['\u2019]", word, maxsplit=1)[0] in words
        )


def wishes(draft: str, text: str, recurring: Sequence[Swap] = ()) -> tuple[str, ...]:
    """What the edit says of its author's preferences, a clause an aspect; none where only facts changed.

    `recurring` are exchanges of words known from other edits: one that was seen there counts from once on.
    An edit that takes everything away says nothing.
    """
    before, after = Manner(draft), Manner(text)
    if not after.words or not before.words:
        return ()
    found = [
        after.form if after.form != before.form else "",
        _length(before, after),
        *_frame(before, after),
        _present("exclamation marks", before.exclamations, after.exclamations),
        _present("emoji", len(_EMOJI.findall(draft)), len(_EMOJI.findall(text))),
        _contractions(draft, text),
        *_persons(before, after),
        after.case if after.case != before.case else "",
        _present("headings", len(_HEADING.findall(draft)), len(_HEADING.findall(text))),
        _present("code fences", draft.count("```"), text.count("```")),
        *word_clauses(draft, text, recurring),
    ]
    return tuple(clause for clause in found if clause)


def _length(before: Manner, after: Manner) -> str:
    """A length to aim at. Text that was only added is facts the draft lacked, not a wish for length."""
    if min(before.length, after.length) < 1 or max(before.length, after.length) < _FEW:
        return ""
    ratio = after.length / before.length
    old, new = tokens(before.text), tokens(after.text)
    longer = ratio >= _LONGER and edit_distance(old, new) > len(new) - len(old)
    if ratio > _SHORTER and not longer:
        return ""
    step = 5 if after.length < 50 else 10  # noqa: PLR2004 - finer steps for short texts
    return f"about {max(step, step * round(after.length / step))} words"


def _frame(before: Manner, after: Manner) -> tuple[str, str]:
    greeting = closing = ""
    if _opening(after) != _opening(before):
        greeting = f"a greeting like “{_opening(after)}”" if after.greeting else "no greeting"
    if quoted(after.closing) != quoted(before.closing):
        closing = f"the closing “{quoted(after.closing)}”" if after.closing else "no closing"
    return greeting, closing


def _opening(manner: Manner) -> str:
    """The greeting without the name of whom it greets, which belongs to one request."""
    found = _GREETING.match(manner.greeting)
    return found[1].capitalize() if found else ""


def _present(what: str, before: int, after: int) -> str:
    if bool(before) == bool(after):
        return ""
    return what if after else f"no {what}"


def _contractions(draft: str, text: str) -> str:
    """Only where words were spelt out or drawn together: a contraction may also go with its sentence."""
    clause = _present("contractions", len(_CONTRACTED.findall(draft)), len(_CONTRACTED.findall(text)))
    more = len(_SPELT_OUT.findall(text)) - len(_SPELT_OUT.findall(draft))
    return clause if clause and (more > 0 if clause.startswith("no ") else more < 0) else ""


def _persons(before: Manner, after: Manner) -> tuple[str, str]:
    kept_most = after.length * 2 >= before.length
    was_i, is_i = before.any_of(_I), after.any_of(_I)
    was_we, is_we = before.any_of(_WE), after.any_of(_WE)
    was_you, is_you = before.any_of(_YOU), after.any_of(_YOU)
    person = reader = ""
    if was_i and not is_i and is_we > was_we:
        person = "“we”, not “I”"
    elif was_we and not is_we and is_i > was_i:
        person = "“I”, not “we”"
    elif was_i + was_we > 1 and not is_i + is_we and kept_most:
        person = "no first person"
    if not was_you and is_you > 1:
        reader = "the reader addressed as “you”"
    elif was_you > 1 and not is_you and kept_most:
        reader = "the reader not addressed"
    return person, reader
