"""Preferences by context: the extract a preference is filed under, the k closest, and all they say together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.entry import Entry
from ctxeng.playbook.learners.onbox import printable
from ctxeng.playbook.learners.preference_clauses import Preference, heard
from ctxeng.playbook.refine import Embed
from ctxeng.text.sentences import sentences

KIND = "preference"
Extract = Callable[[str], str]
_OR = "; or "  # between the contexts that one preference was learned in


def extract(text: str, most: int = 240) -> str:
    """What a request is about, on one line of at most `most` characters: its first sentences."""
    plain = printable(text)
    end = 0
    for _, stop in sentences(plain[: 4 * most]):
        if end and stop > most:
            break
        end = stop
    return " ".join(plain[:end].replace(_OR, "; ").split())[:most].strip()


def contexts(entry: Entry) -> list[str]:
    """The extracts that the entry is filed under, oldest first."""
    return entry.when.split(_OR) if entry.when else []


def filed(extracts: Sequence[str]) -> str:
    """The `when` of an entry learned in these contexts."""
    return _OR.join(dict.fromkeys(extracts))


def preferences(playbook: Playbook) -> list[Entry]:
    """All preference entries in use, in the playbook's order."""
    return [entry for entry in playbook.entries if entry.kind == KIND and entry.status != "retired"]


def closest(playbook: Playbook, query: str, k: int, embed: Embed) -> list[tuple[Entry, float]]:
    """The k preferences learned in the contexts nearest to the query, nearest first, with their cosine.

    An entry of several contexts is as near as the nearest of them; one of none holds for every request, and
    its cosine is 1. Ties go to the newer entry; what has nothing in common with the query is left out.
    """
    return nearest(preferences(playbook), query, k, embed)


def nearest(entries: Sequence[Entry], query: str, k: int, embed: Embed) -> list[tuple[Entry, float]]:
    """The k entries nearest to the query, as `closest` finds them in a playbook."""
    filed_under = [contexts(entry) for entry in entries]
    extracts = [text for texts in filed_under for text in texts]
    cosines = iter(cosines_to(query, extracts, embed))
    found = [max((next(cosines) for _ in texts), default=1.0) for texts in filed_under]
    order = sorted(range(len(entries)), key=lambda i: (-found[i], -i))[: max(k, 0)]
    return [(entries[i], found[i]) for i in order if found[i] > 0]


def cosines_to(query: str, texts: Sequence[str], embed: Embed) -> list[float]:
    """The cosine of each text with the query."""
    if not texts:
        return []
    vectors = embed([query, *texts])
    return [float(cosine) for cosine in vectors[1:] @ vectors[0]]


def together(found: Sequence[tuple[Entry, float]], within: float = 0.0) -> str:
    """What the closest preferences say together, nearest first in `found`; "" for none.

    Said twice, it stands once; where two contradict, the nearer context holds. Entries whose cosine is less
    than `within` times the best are left out.
    """
    least = within * found[0][1] if found else 0.0
    said = Preference()
    for entry, cosine in reversed(found):
        if cosine >= least:
            said = said.then(heard(entry.text))
    return said.text
