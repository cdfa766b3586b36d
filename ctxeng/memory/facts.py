"""What users say of things: the newest value holds, older ones are kept with their time (no model needed)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ctxeng.memory.stored import Fact
from ctxeng.retrieval.words import terms
from ctxeng.text.sentences import sentences

_NOUN = r"[\w'\u2019./&+-]+"
_WORDS = rf"{_NOUN}(?:\s+{_NOUN}){{0,5}}?"
_STOP = r"\s*(?:[.;!?](?:\s|$)|,\s(?!\d{4}\b)|\s+(?:and|but|so|because|since|for|which|now)\b|$)"
_VALUE = rf"(?P<value>[^.;!?\n]{{1,80}}?)(?={_STOP})"
_NOW = r"(?:(?:now|currently|actually|already|officially)\s+)?"
_BE = r"(?:is|are|was|were|will\s+be|has\s+been)"
_CHANGED = (
    r"(?:changed?|updated?|moved?|raised?|increased?|reduced?|lowered?|extended?|shifted?|switched?|set|"
    r"improved?|pushed|rescheduled?)"
)
_WHERE = r"(?:live|living|work|working|based)\s+(?:in|at|for|as)"
_WENT = r"(?:moved|went|travelled|traveled|journeyed|relocated)\s+(?:back\s+)?to"
# my deadline is now Friday; the budget was $500; our team's standup is at nine
_IS = rf"\b(?:my|our|the)\s+(?P<subject>{_WORDS})\s+{_BE}\s+{_NOW}{_VALUE}"
# changed the deadline from Friday to Monday; increased my budget to 700
_FROM = r"(?:\s+back)?(?:\s+from\s+[^.;!?\n]{1,60}?)?"
_BECAME = rf"\b{_CHANGED}\s+(?:my|our|the|it's|its)?\s*(?P<subject>{_WORDS}){_FROM}\s+to\s+{_VALUE}"
# I live in Rome; I work at Acme: what people have one of
_LIVES = rf"\bI(?:'m|\s+am)?\s+{_NOW}(?P<subject>{_WHERE})\s+{_VALUE}"
# Mary went to the kitchen
_MOVED = rf"\b(?P<subject>[A-Z][a-z]+)\s+{_WENT}\s+(?:the\s+)?{_VALUE}"
# my deadline was moved to Monday; our budget has changed to 700
_AUX = r"(?:has|have|was|were|got)\s+(?:been\s+)?"
_WAS_CHANGED = (
    rf"\b(?:my|our|the)\s+(?P<subject>{_WORDS})\s+{_AUX}{_CHANGED}{_FROM}\s+(?:to|and\s+is)\s+{_VALUE}"
)
_PATTERNS = tuple(re.compile(pattern, re.IGNORECASE) for pattern in (_WAS_CHANGED, _IS, _BECAME, _LIVES))
_PERSON = re.compile(_MOVED)
_DETERMINERS = re.compile(r"^(?:my|our|the|a|an|its)\s+", re.IGNORECASE)
_QUESTION = re.compile(
    r"\?\s*$|^\s*(?:what|who|when|where|which|why|how|is|are|was|do|does|did|can|could|if)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class State:
    """A subject as it is now; `earlier` are the values that no longer hold, oldest first."""

    newest: Fact
    earlier: tuple[Fact, ...] = ()

    @property
    def text(self) -> str:
        """The state as a line: what holds since when, and what held before."""
        since = f" (since {self.newest.time[:10]})" if self.newest.time else ""
        old = "; ".join(f"{fact.value}{f' ({fact.time[:10]})' if fact.time else ''}" for fact in self.earlier)
        return f"{self.newest.subject}: {self.newest.value}{since}" + (f"; earlier: {old}" if old else "")


def stated(text: str, time: str = "", source: str = "") -> list[Fact]:
    """The facts that a user's message states in so many words; questions state none."""
    return [
        Fact(subject=subject, value=value, time=time, source=source)
        for start, end in sentences(text)
        if not _QUESTION.search(text[start:end])
        for subject, value in _found(text[start:end])
    ]


def states(facts: Sequence[Fact]) -> dict[str, State]:
    """Subjects as they are now, from facts in the order in which they were said.

    A value that is said again holds anew from then on. Subjects are the same where their words' stems are.
    """
    found: dict[str, list[Fact]] = {}
    for fact in facts:
        found.setdefault(subject_key(fact.subject), []).append(fact)
    return {key: _state(said) for key, said in found.items()}


def contradictions(facts: Sequence[Fact]) -> list[State]:
    """Subjects of which different things were said at different times or places."""
    return [state for state in states(facts).values() if state.earlier]


def bearing(facts: Sequence[Fact], query: str, most: int = 5) -> list[State]:
    """The states whose whole subject stands in the query, the longest subjects first."""
    asked = set(terms(query))
    fits = [
        (key.split(), state) for key, state in states(facts).items() if key and asked.issuperset(key.split())
    ]
    return [state for _, state in sorted(fits, key=lambda each: -len(each[0]))[:most]]


def subject_key(subject: str) -> str:
    """What makes two subjects the same: their stems, in any order."""
    return " ".join(sorted(set(terms(subject))))


def _found(sentence: str) -> Iterator[tuple[str, str]]:
    taken: list[tuple[int, int]] = []
    for pattern in (*_PATTERNS, _PERSON):
        for match in pattern.finditer(sentence):
            span = match.span("value")
            if any(span[0] < end and start < span[1] for start, end in taken):
                continue
            taken.append(span)
            subject = _DETERMINERS.sub("", match["subject"].strip())
            value = match["value"].strip().strip("\"'“”")
            if value and subject_key(subject):
                yield (f"where {subject} is" if pattern is _PERSON else subject), value


def _state(said: Sequence[Fact]) -> State:
    newest = said[-1]
    values = {
        fact.value.casefold(): fact for fact in said[:-1] if fact.value.casefold() != newest.value.casefold()
    }
    return State(newest, tuple(values.values()))
