"""Preferences by context: the extract one is filed under, the k closest, and what they say together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.entry import Entry
from ctxeng.playbook.learners.onbox import printable
from ctxeng.playbook.learners.preference_clauses import Preference, contradicts, heard
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
    """The cosine of each text with the query; 1 for the query itself, whatever the encoder makes of it."""
    if not texts:
        return []
    vectors = embed([query, *texts])
    cosines = (vectors[1:] @ vectors[0]).tolist()
    return [1.0 if text == query else cosine for text, cosine in zip(texts, cosines, strict=True)]


def together(found: Sequence[tuple[Entry, float]], within: float = 0.5) -> str:
    """What the closest preferences say together, nearest first in `found`; "" for none.

    Said twice, it stands once; where two contradict, the nearer context holds. Entries whose cosine is less
    than `within` times the best are left out.
    """
    said = Preference()
    for _, text in reversed(shares(found, within)):
        said = said.then(heard(text))
    return said.text


def shares(found: Sequence[tuple[Entry, float]], within: float = 0.5) -> list[tuple[Entry, str]]:
    """Each entry with what no nearer one says or contradicts; entries with nothing of that are left out."""
    nearer: tuple[str, ...] = ()
    parts: list[tuple[Entry, str]] = []
    for entry, cosine in found:
        if cosine < within * found[0][1]:
            break
        said = heard(entry.text)
        own = [
            clause
            for clause in said.clauses
            if clause not in nearer and not any(contradicts(clause, held) for held in nearer)
        ]
        nearer = (*nearer, *own)
        if text := Preference(tuple(own), said.words).text:
            parts.append((entry, text))
    return parts
