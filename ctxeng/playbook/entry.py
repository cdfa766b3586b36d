"""One lesson of a playbook: its text, when it holds, and an id that is never used twice."""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import AfterValidator, StringConstraints

from ctxeng.turn import Trust, Value, least_trust

Status = Literal["candidate", "active", "frozen", "retired"]
ID_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*-[a-z2-7]{5}$"
SUFFIX = 5  # base32 characters behind the slug: 33 million ids a section


def clean(text: str) -> str:
    """The text itself; a ValueError for control characters other than tab and newline."""
    if not text.isprintable():
        for character in text:
            if unicodedata.category(character) == "Cc" and character not in "\n\t":
                raise ValueError(f"control character {character!r} in text")
    return text


def said(text: str) -> str:
    """Clean text that says something."""
    if not text.strip():
        raise ValueError("text must not be empty")
    return clean(text)


def one_line(text: str) -> str:
    """Clean text that can stand in a header: it says something, in one line."""
    if not text.isprintable() and any(character in text for character in "\n\t\u2028\u2029"):
        raise ValueError("must be one line")
    return said(text)


EntryId = Annotated[str, StringConstraints(pattern=ID_PATTERN, max_length=80)]
Said = Annotated[str, AfterValidator(said)]
Clean = Annotated[str, AfterValidator(clean)]
OneLine = Annotated[str, StringConstraints(max_length=200), AfterValidator(one_line)]
Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]


class Entry(Value):
    """One lesson. `when` is the condition it holds under, `audience` the roles that see it (empty: all)."""

    id: EntryId
    kind: Kind = "bullet"
    section: OneLine = "general"
    text: Said
    when: Clean = ""
    audience: tuple[OneLine, ...] = ()
    status: Status = "active"


FIELDS = ("section", "kind", "when", "text", "audience", "status")  # all that can change, in reading order


class Provenance(Value):
    """Where an entry comes from; beside the entry, never in the prompt or the YAML."""

    turns: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    strategy: str = ""
    model: str = ""
    trust: Trust = "trusted"
    group: str = ""


def unite(first: Provenance, *others: Provenance, parents: tuple[str, ...] = ()) -> Provenance:
    """The lineage of something made of all these: the first one's names, everybody's turns, least trust."""
    every = (first, *others)
    return Provenance(
        turns=tuple(dict.fromkeys(turn for one in every for turn in one.turns)),
        parents=tuple(dict.fromkeys([*(parent for one in every for parent in one.parents), *parents])),
        strategy=next((one.strategy for one in every if one.strategy), ""),
        model=next((one.model for one in every if one.model), ""),
        trust=least_trust(*(one.trust for one in every)),
        group=next((one.group for one in every if one.group), ""),
    )


def slug(text: str) -> str:
    """Lower-case letters and digits joined by hyphens, at most 40 characters; "entry" if none are left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower())[:40].strip("-") or "entry"


def mint(section: str, seed: str, taken: Callable[[str], bool]) -> str:
    """An id that is not taken: the section's slug and five characters that follow from the seed.

    The same seed gives the same id, so a resumed run mints what the interrupted one did.
    """
    prefix, rounds = slug(section), 0
    while True:
        material = f"{seed}\0{rounds}" if rounds else seed
        digits = base64.b32encode(hashlib.sha256(material.encode()).digest()).decode().lower()
        for start in range(0, 50, SUFFIX):
            candidate = f"{prefix}-{digits[start : start + SUFFIX]}"
            if not taken(candidate):
                return candidate
        rounds += 1
