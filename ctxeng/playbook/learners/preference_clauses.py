"""What a preference says, clause by clause: which clauses contradict each other, and how they are written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LEAD = "The user wants "
_BETWEEN = "; "
_INSTEAD = re.compile(r"“([^“”]+)” instead of “([^“”]+)”")
_WITHOUT = re.compile(r"without the word “([^“”]+)”")
# clauses of one aspect contradict each other: the newer stands in the older one's place
_ASPECTS = {
    "list": re.compile(r"bullet points|a numbered list|prose without a list"),
    "length": re.compile(r"about \d+ words"),
    "greeting": re.compile(r"a greeting like “[^“”]+”|no greeting"),
    "closing": re.compile(r"the closing “[^“”]+”|no closing"),
    "exclamation": re.compile(r"(no )?exclamation marks"),
    "emoji": re.compile(r"(no )?emoji"),
    "contractions": re.compile(r"(no )?contractions"),
    "person": re.compile(r"“we”, not “I”|“I”, not “we”|no first person"),
    "reader": re.compile(r"the reader addressed as “you”|the reader not addressed"),
    "case": re.compile(r"all lower case|all capitals|the usual capitals"),
    "headings": re.compile(r"(no )?headings"),
    "code": re.compile(r"(no )?code fences"),
}


@dataclass(frozen=True)
class Preference:
    """A preference as read from an entry's text: what code wrote as clauses, and other words before them."""

    clauses: tuple[str, ...] = ()
    words: str = ""

    @property
    def text(self) -> str:
        """The entry's text; "" for no preference."""
        listed = f"{LEAD}{_BETWEEN.join(self.clauses)}." if self.clauses else ""
        return f"{self.words} {listed}".strip()

    def then(self, newer: Preference) -> Preference:
        """Both together: what is said twice stands once, and where they contradict the newer holds.

        Words that are no clauses cannot be compared: they stay unless the newer has words of its own.
        """
        return Preference(united(self.clauses, newer.clauses), newer.words or self.words)


def heard(text: str) -> Preference:
    """The preference that an entry's text states. People may have changed it: an unknown clause stays."""
    words, lead, rest = text.partition(LEAD)
    if not lead or not rest.rstrip().endswith("."):
        return Preference(words=text.strip())
    clauses = rest.rstrip().removesuffix(".").split(_BETWEEN)
    return Preference(tuple(clause.strip() for clause in clauses if clause.strip()), words.strip())


def united(older: Sequence[str], newer: Iterable[str]) -> tuple[str, ...]:
    """All clauses, each once; one that a newer clause contradicts gives it its place."""
    found = list(dict.fromkeys(older))
    for clause in newer:
        against = [place for place, held in enumerate(found) if contradicts(clause, held)]
        if against:
            found[against[0]] = clause
            for place in reversed(against[1:]):
                del found[place]
        elif clause not in found:
            found.append(clause)
    return tuple(found)


def contradicts(one: str, other: str) -> bool:
    """Whether both cannot hold: two values of one aspect, or one wants the word that the other bars."""
    if one == other:
        return False
    (wanted, barred), (also_wanted, also_barred) = _word(one), _word(other)
    if barred and also_barred:
        return barred in {also_wanted, also_barred} or wanted == also_barred
    return any(form.fullmatch(one) and form.fullmatch(other) for form in _ASPECTS.values())


def quoted(text: str) -> str:
    """The words as they can stand in a clause: on one line, without its own marks, at most 60 characters."""
    plain = re.sub(r"[;“”\"]+", "", ", ".join(line.strip(" ,") for line in text.splitlines() if line.strip()))
    return " ".join(plain.split())[:60].rstrip(" ,.")


def _word(clause: str) -> tuple[str, str]:
    """The word that the clause wants and the one that it bars, if it is about words."""
    if found := _INSTEAD.fullmatch(clause):
        return found[1], found[2]
    found = _WITHOUT.fullmatch(clause)
    return ("", found[1]) if found else ("", "")
