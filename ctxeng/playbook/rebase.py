"""Deltas proposed against an older version, re-applied on the newer one; what loses is reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ctxeng.playbook.book import Playbook
from ctxeng.playbook.delta import Add, Delta, Merge, Redact, Remove, Tag, Update, by_person


class Touch(NamedTuple):
    """What last happened to an entry: by which operation, whether a person did it, where it was merged."""

    op: str
    by_person: bool = False
    into: str = ""


# What happened to this entry after that version; None: nothing. An unknown version is Touch("unknown").
Since = Callable[[str, str], Touch | None]


@dataclass(frozen=True)
class Rebased:
    """What is left to apply, and the deltas that lost, each with a sentence.

    `superseded` ones are settled; those in `conflicts` have to be proposed again on the newer version.
    `codes` has "ok", "superseded" or "conflict" for each delta handed in; `overrides` says what they outdo.
    """

    apply: tuple[Delta, ...] = ()
    superseded: tuple[tuple[Delta, str], ...] = ()
    conflicts: tuple[tuple[Delta, str], ...] = ()
    codes: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What lost, in words."""
        lost = [f"superseded: {why}" for _, why in self.superseded]
        return (*lost, *(f"conflict: {why}" for _, why in self.conflicts), *self.overrides)

    def results(self, applied: Sequence[str]) -> tuple[str, ...]:
        """A code for each delta handed in, given those of the deltas that were applied."""
        codes = iter(applied)
        return tuple(next(codes) if code == "ok" else code for code in self.codes)


class _Lost(NamedTuple):
    """Why a delta is not applied."""

    why: str
    conflict: bool = False


def rebase(deltas: Sequence[Delta], current: Playbook, since: Since, by: str = "") -> Rebased:
    """The deltas as they stand on the current version.

    Remove beats Update beats Tag; of two Updates of one entry the second is a conflict; people beat
    learners. A delta without a base, or based on the current version, stays as it is.
    """
    if {"", current.version}.issuperset([delta.base for delta in deltas]):
        return Rebased(tuple(deltas), codes=("ok",) * len(deltas))
    applied: list[Delta] = []
    codes: list[str] = []
    superseded: list[tuple[Delta, str]] = []
    conflicts: list[tuple[Delta, str]] = []
    overrides: list[str] = []
    lost_ids: set[str] = set()  # what builds on a lost Add is lost with it
    for delta in deltas:
        if lost_ids.intersection(delta.targets):
            settled: Delta | _Lost = _Lost("it builds on a delta that was not applied", conflict=True)
        elif delta.base in {"", current.version}:
            settled = delta
        else:
            settled = _settled(delta, current, since, person=by_person(delta, by))
        if not isinstance(settled, _Lost):
            applied.append(settled)
            codes.append("ok")
            overrides += _overridden(delta, current, since)
            continue
        codes.append("conflict" if settled.conflict else "superseded")
        (conflicts if settled.conflict else superseded).append((delta, settled.why))
        if isinstance(delta, Add):
            lost_ids.add(delta.entry.id)
    return Rebased(tuple(applied), tuple(superseded), tuple(conflicts), tuple(codes), tuple(overrides))


def _overridden(delta: Delta, current: Playbook, since: Since) -> list[str]:
    """What others changed meanwhile and this delta outdoes, in words."""
    if delta.base in {"", current.version} or isinstance(delta, Add | Tag):
        return []
    touched = [name for name in delta.targets if since(delta.base, name)]
    return [f"superseded: an earlier change of {name}, by this {delta.op}" for name in touched]


def _settled(delta: Delta, current: Playbook, since: Since, *, person: bool) -> Delta | _Lost:
    match delta:
        case Add():
            return _add(delta, current)
        case Update():
            return _update(delta, current, since(delta.base, delta.id), person=person)
        case Remove():
            return _remove(delta, current, since(delta.base, delta.id), person=person)
        case Tag():
            return _tag(delta, current, since)
        case Merge():
            return _merge(delta, current, since, person=person)
        case Redact():
            return delta


def _add(delta: Add, current: Playbook) -> Delta | _Lost:
    name = delta.entry.id
    if name in current:
        if current.get(name) == delta.entry:
            return _Lost(f"{name} is already there")
        return _Lost(f"{name} is another entry by now", conflict=True)
    if delta.after and delta.after not in current.rows.table:
        return delta.model_copy(update={"after": None})
    return delta


def _update(delta: Update, current: Playbook, touch: Touch | None, *, person: bool) -> Delta | _Lost:
    name = delta.id
    if name not in current:
        return _revived(delta, current, touch, person=person)
    if touch is None or (person and not touch.by_person):
        return delta
    if all(getattr(current.get(name), field) == value for field, value in delta.fields.items()):
        return _Lost(f"{name} already says so")
    if touch.by_person and not person:
        return _Lost(f"a person changed {name}")
    return _Lost(f"{name} was changed meanwhile; propose it again", conflict=True)


def _revived(delta: Update, current: Playbook, touch: Touch | None, *, person: bool) -> Delta | _Lost:
    """A person's Update brings back what a learner removed; any other is too late."""
    gone = current.gone.get(delta.id)
    if gone is None or not person or touch is None or touch.by_person or touch.op != "remove":
        merged = touch.into if touch else ""
        return _Lost(f"{delta.id} was {'merged into ' + merged if merged else 'removed'}")
    entry = gone.entry.model_copy(update=delta.fields)
    after = gone.after if not gone.after or gone.after in current.rows.table else None
    return gone.model_copy(update={"entry": entry, "after": after, "by": delta.by})


def _remove(delta: Remove, current: Playbook, touch: Touch | None, *, person: bool) -> Delta | _Lost:
    if delta.id not in current:
        return _Lost(f"{delta.id} is already gone")
    if touch and touch.by_person and not person:
        return _Lost(f"a person changed {delta.id}")
    if touch and touch.op == "unknown":
        return _Lost(f"{delta.base} is no version known here; propose it again", conflict=True)
    return delta


def _tag(delta: Tag, current: Playbook, since: Since) -> Delta | _Lost:
    name, steps = delta.id, 0
    while name not in current:
        touch = since(delta.base, name)
        if touch is None or not touch.into or steps > len(current.gone):
            return _Lost(f"{name} was removed")
        name, steps = touch.into, steps + 1
    return delta if name == delta.id else delta.model_copy(update={"id": name})


def _merge(delta: Merge, current: Playbook, since: Since, *, person: bool) -> Delta | _Lost:
    for name in delta.ids:
        if name not in current:
            return _Lost(f"{name} is gone; propose the merge again", conflict=True)
        touch = since(delta.base, name)
        if touch and touch.by_person and not person:
            return _Lost(f"a person changed {name}")
        if touch and (touch.by_person or not person):
            return _Lost(f"{name} was changed meanwhile; propose the merge again", conflict=True)
    return delta
