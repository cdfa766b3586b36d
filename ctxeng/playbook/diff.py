"""What differs between two playbooks: as a list, as YAML lines, and as the deltas that lead there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Literal

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.delta import Add, Delta, Remove, Update
from ctxeng.playbook.entry import FIELDS, Entry
from ctxeng.playbook.order import in_order
from ctxeng.playbook.yamlfile import dump
from ctxeng.turn import Value


class Change(Value):
    """One entry's difference; `fields` names what differs where both have it."""

    what: Literal["added", "removed", "changed", "moved"]
    id: str
    old: Entry | None = None
    new: Entry | None = None
    fields: tuple[str, ...] = ()


def diff(old: Playbook, new: Playbook) -> list[Change]:
    """What is removed, then what is added, changed or moved in the order of the new one; own entries only."""
    before = {entry.id: entry for entry in old.own}
    after = {entry.id: entry for entry in new.own}
    changes = [
        Change(what="removed", id=name, old=entry) for name, entry in before.items() if name not in after
    ]
    moved = _moved(old.own, new.own)
    for name, entry in after.items():
        was = before.get(name)
        if was is None:
            changes.append(Change(what="added", id=name, new=entry))
        elif was != entry:
            changes.append(Change(what="changed", id=name, old=was, new=entry, fields=differing(was, entry)))
        elif name in moved:
            changes.append(Change(what="moved", id=name, old=was, new=entry))
    return changes


def differing(old: Entry, new: Entry) -> tuple[str, ...]:
    """The names of the fields that are not the same."""
    return tuple(name for name in FIELDS if getattr(old, name) != getattr(new, name))


def text_diff(old: Playbook, new: Playbook, context: int = 3) -> str:
    """The unified diff of the entries as YAML; empty where nothing differs."""
    lines = difflib.unified_diff(
        _lines(old.own),
        _lines(new.own),
        f"{old.name}@{old.version}",
        f"{new.name}@{new.version}",
        n=context,
    )
    return "".join(lines)


def edits(old: Playbook, entries: Sequence[Entry], by: str, *, order: bool = True) -> tuple[Delta, ...]:
    """The deltas that turn the old playbook's own entries into these, with `order` in their order as well.

    An entry that moved is removed and put back with its votes and provenance.
    """
    names = {entry.id for entry in entries}
    moved = _moved(old.own, entries) if order else set()
    deltas: list[Delta] = [
        Remove(id=entry.id, by=by) for entry in old.own if entry.id not in names or entry.id in moved
    ]
    front = ""
    for entry in entries:
        if entry.id not in old.rows.table:
            deltas.append(Add(entry=entry, after=front, restore=entry.id in old.gone, by=by))
        elif entry.id in moved:
            votes, provenance = dict(old.votes(entry.id)), old.provenance(entry.id)
            deltas.append(
                Add(entry=entry, after=front, votes=votes, provenance=provenance, restore=True, by=by)
            )
        else:
            was = old.get(entry.id)
            fields = {name: getattr(entry, name) for name in differing(was, entry)}
            if fields:
                deltas.append(Update.model_validate({"id": entry.id, "by": by, **fields}))
        front = entry.id
    return tuple(deltas)


def _moved(old: Sequence[Entry], new: Sequence[Entry]) -> set[str]:
    """Ids that stand at another place among those that both have."""
    places = {entry.id: place for place, entry in enumerate(old)}
    shared = [places[entry.id] for entry in new if entry.id in places]
    kept = in_order(shared)
    return {old[place].id for place in shared if place not in kept}


def _lines(entries: Iterable[Entry]) -> list[str]:
    return [line for entry in entries for line in dump(entry).splitlines(keepends=True)]
