"""Three-way merge of playbooks by entry id; what two sides changed differently is listed, never decided."""

from __future__ import annotations

from dataclasses import dataclass

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.diff import differing
from ctxeng.playbook.entry import FIELDS, Entry, Provenance, unite
from ctxeng.playbook.rows import Rows
from ctxeng.turn import Value

_WORDS = frozenset({"text", "when"})  # one statement: changing half of it on each side is a conflict


class MergeConflict(Value):
    """An entry that both sides changed. None stands for "not there"; the merged playbook has `kept`."""

    id: str
    why: str
    base: Entry | None = None
    a: Entry | None = None
    b: Entry | None = None
    kept: Entry | None = None


@dataclass(frozen=True)
class Merged:
    """The merged playbook, and what a person has to decide."""

    playbook: Playbook
    conflicts: tuple[MergeConflict, ...] = ()


def merge(base: Playbook, a: Playbook, b: Playbook) -> Merged:
    """What a and b made of base, together: a's name and order, b's additions behind their neighbours.

    Votes of both sides add up, lineages are united. In a conflict a's entry stands, or whichever is left.
    """
    conflicts: list[MergeConflict] = []
    kept: dict[str, Entry] = {}
    for name in _order(a, b):
        entry, why = _settled(*(_entry(side, name) for side in (base, a, b)))
        if entry is not None:
            kept[name] = entry
        if why:
            old, ours, theirs = (_entry(side, name) for side in (base, a, b))
            conflicts.append(MergeConflict(id=name, why=why, base=old, a=ours, b=theirs, kept=entry))
    rows = Rows.of(
        [(entry, _votes(name, base, a, b), _provenance(name, a, b)) for name, entry in kept.items()]
    )
    return Merged(Playbook(a.name, rows, a.fixed, a.gone.update(b.gone)), tuple(conflicts))


def _settled(base: Entry | None, a: Entry | None, b: Entry | None) -> tuple[Entry | None, str]:
    """The entry that stands, and why that is not for code to decide ("" if it is)."""
    if b in (a, base):
        return a, ""
    if a == base:
        return b, ""
    if a is None or b is None:
        return a or b, "removed on one side, changed on the other"
    if base is None:
        return a, "added on both sides, not alike"
    ours, theirs = set(differing(base, a)), set(differing(base, b))
    clash = {field for field in ours & theirs if getattr(a, field) != getattr(b, field)}
    if not clash and not (ours & _WORDS and theirs & _WORDS and ours & _WORDS != theirs & _WORDS):
        return a.model_copy(update={field: getattr(b, field) for field in theirs}), ""
    names = [field for field in FIELDS if field in (clash or _WORDS)]
    return a, f"both sides changed its {' and '.join(names)}"


def _order(a: Playbook, b: Playbook) -> list[str]:
    """All ids: a's order, and what only b has behind the entry it follows in b."""
    ours = [entry.id for entry in a.own]
    known = set(ours)
    behind: dict[str, list[str]] = {}
    front = ""
    for entry in b.own:
        if entry.id in known:
            front = entry.id
        else:
            behind.setdefault(front, []).append(entry.id)
    return [*behind.get("", []), *(name for own in ours for name in (own, *behind.get(own, [])))]


def _votes(name: str, base: Playbook, a: Playbook, b: Playbook) -> dict[str, int]:
    old, ours, theirs = (side.votes(name) if _entry(side, name) is not None else {} for side in (base, a, b))
    if _entry(a, name) is None or _entry(b, name) is None:
        return dict(ours or theirs)
    summed = {
        counter: ours.get(counter, 0) + theirs.get(counter, 0) - old.get(counter, 0)
        for counter in dict.fromkeys([*ours, *theirs])
    }
    return {counter: count for counter, count in summed.items() if count > 0}


def _provenance(name: str, a: Playbook, b: Playbook) -> Provenance:
    sides = [side.provenance(name) for side in (a, b) if _entry(side, name) is not None]
    return unite(*sides)


def _entry(playbook: Playbook, name: str) -> Entry | None:
    row = playbook.rows.table.get(name)
    return row.entry if row else None
