"""One delta on the rows of a playbook: the next rows, a result code and the inverse; a pure function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from rpds import HashTrieMap

from ctxeng.playbook.delta import Add, Delta, Merge, Redact, Remove, Tag, Update, by_person
from ctxeng.playbook.entry import FIELDS, Entry, unite
from ctxeng.playbook.rows import Row, Rows

Code = Literal["ok", "no-change", "unknown-id", "duplicate-id", "reused-id", "invalid", "frozen", "read-only"]
REDACTED = "[redacted]"
_BARE = {"reason": "", "evidence": (), "base": "", **dict.fromkeys(FIELDS)}  # an Update that says nothing


class Stage(NamedTuple):
    """Rows on their way through a batch; `gone` keeps what was removed, as the delta that restores it."""

    rows: Rows
    gone: HashTrieMap[str, Add]
    fixed: Mapping[str, Entry]  # of an extended file; read-only
    by: str = ""


class Outcome(NamedTuple):
    """What one delta did; with a code other than "ok" the stage is the old one."""

    stage: Stage
    code: Code
    inverse: tuple[Delta, ...] = ()


def change(stage: Stage, delta: Delta) -> Outcome:
    """The stage after this delta, or the code that says why it does not apply."""
    code = _refusal(stage, delta)
    return Outcome(stage, code) if code else _changed(stage, delta)


def _refusal(stage: Stage, delta: Delta) -> Code | None:
    """Why nobody, or not this one, may make such a change to these entries."""
    names = delta.targets
    if stage.fixed and not stage.fixed.keys().isdisjoint(names):
        return "duplicate-id" if delta.op == "add" else "read-only"
    if delta.op != "add":
        for name in names:
            if name not in stage.rows.table:
                return "unknown-id"
    if _needs_person(stage.rows, delta) and not by_person(delta, stage.by):
        return "frozen"
    return None


def _needs_person(rows: Rows, delta: Delta) -> bool:
    """Whether it touches what a person froze, or would freeze something; votes and redaction may."""
    if delta.op in {"tag", "redact"}:
        return False
    if delta.op == "add":
        return delta.entry.status == "frozen"
    if delta.op == "update" and delta.status == "frozen":
        return True
    return any(rows.table[name].entry.status == "frozen" for name in delta.targets)


def _changed(stage: Stage, delta: Delta) -> Outcome:
    # by `op`, since class patterns cost a pydantic model more than the change itself
    if delta.op == "tag":
        return _tag(stage, delta)
    if delta.op == "update":
        return _update(stage, delta)
    if delta.op == "add":
        return _add(stage, delta)
    if delta.op == "remove":
        return _remove(stage, delta)
    return _merge(stage, delta) if delta.op == "merge" else _redact(stage, delta)


def _add(stage: Stage, delta: Add) -> Outcome:
    rows, name = stage.rows, delta.entry.id
    if name in rows.table:
        return Outcome(stage, "duplicate-id")
    if name in stage.gone and not delta.restore:
        return Outcome(stage, "reused-id")
    if delta.after and delta.after not in rows.table:
        return Outcome(stage, "unknown-id")
    votes = {name: count for name, count in delta.votes.items() if count}
    gone = stage.gone.remove(name) if name in stage.gone else stage.gone
    rows = rows.insert(delta.entry, delta.after, votes, delta.provenance)
    return Outcome(Stage(rows, gone, stage.fixed, stage.by), "ok", (Remove(id=name, by=delta.by),))


def _update(stage: Stage, delta: Update) -> Outcome:
    row = stage.rows.table[delta.id]
    fields = {name: value for name, value in delta.fields.items() if getattr(row.entry, name) != value}
    if not fields:
        return Outcome(stage, "no-change")
    old = {name: getattr(row.entry, name) for name in fields}
    inverse = delta.model_copy(update={**_BARE, **old})
    return _with(stage, row.rewritten(row.entry.model_copy(update=fields)), inverse)


def _merge(stage: Stage, delta: Merge) -> Outcome:
    rows, into = stage.rows, stage.rows.table[delta.into]
    others = [rows.table[name] for name in delta.others]
    said = {"text": delta.text, "when": delta.when}
    fields = {name: value for name, value in said.items() if value is not None}
    votes = dict(into.votes)
    for row in others:
        votes = _summed(votes, row.votes)
    merged = into.rewritten(into.entry.model_copy(update=fields)) if fields else into
    merged = merged._replace(
        votes=votes,
        provenance=unite(into.provenance, *(row.provenance for row in others), parents=delta.others),
    )
    inverse: list[Delta] = []
    for name in delta.others:
        outcome = _remove(stage, Remove(id=name, by=delta.by))
        stage = outcome.stage
        inverse = [*outcome.inverse, *inverse]
    into = stage.rows.table[delta.into]  # its neighbours may just have gone
    back: list[Delta] = [Remove(id=delta.into, by=delta.by), _restoring(into, delta.by)]
    merged = merged.placed(into.front, into.back)
    return Outcome(
        Stage(stage.rows.replace(merged), stage.gone, stage.fixed, stage.by), "ok", (*back, *inverse)
    )


def _remove(stage: Stage, delta: Remove) -> Outcome:
    restoring = _restoring(stage.rows.table[delta.id], delta.by)
    gone = stage.gone.insert(delta.id, restoring)
    return Outcome(Stage(stage.rows.remove(delta.id), gone, stage.fixed, stage.by), "ok", (restoring,))


def _tag(stage: Stage, delta: Tag) -> Outcome:
    row = stage.rows.table[delta.id]
    votes = _summed(row.votes, delta.votes)
    if any(count < 0 for count in votes.values()):
        return Outcome(stage, "invalid")
    if votes == row.votes:
        return Outcome(stage, "no-change")
    inverse = Tag(id=delta.id, votes={name: -count for name, count in delta.votes.items()}, by=delta.by)
    return _with(stage, row.voted(votes), inverse)


def _redact(stage: Stage, delta: Redact) -> Outcome:
    rows, gone = stage.rows, stage.gone
    if delta.id:
        row = rows.table[delta.id]
        rows = rows.replace(row.rewritten(blanked(row.entry)))
    else:
        for row in rows:
            entry = scrubbed(row.entry, delta.pattern)
            rows = rows if entry is row.entry else rows.replace(row.rewritten(entry))
        for name, add in gone.items():
            entry = scrubbed(add.entry, delta.pattern)
            if entry is not add.entry:
                gone = gone.insert(name, add.model_copy(update={"entry": entry}))
    if rows is stage.rows and gone is stage.gone:
        return Outcome(stage, "no-change")
    return Outcome(Stage(rows, gone, stage.fixed, stage.by), "ok")


def blanked(entry: Entry) -> Entry:
    """The entry with its words gone."""
    return entry.model_copy(update={"text": REDACTED, "when": REDACTED if entry.when else ""})


def scrubbed(entry: Entry, pattern: str) -> Entry:
    """The entry without that literal text; the same object where it has none."""
    fields: dict[str, object] = {
        name: value.replace(pattern, REDACTED)
        for name, value in (("text", entry.text), ("when", entry.when), ("section", entry.section))
        if pattern in value
    }
    if any(pattern in role for role in entry.audience):
        fields["audience"] = tuple(role.replace(pattern, REDACTED) for role in entry.audience)
    return entry.model_copy(update=fields) if fields else entry


def _with(stage: Stage, row: Row, inverse: Delta) -> Outcome:
    return Outcome(Stage(stage.rows.replace(row), stage.gone, stage.fixed, stage.by), "ok", (inverse,))


def _restoring(row: Row, by: str) -> Add:
    return Add(
        entry=row.entry,
        after=row.front,
        votes=dict(row.votes),
        provenance=row.provenance,
        restore=True,
        by=by,
    )


def _summed(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    """Counters added name by name; a counter at zero is none, so that an inverse leaves no trace."""
    summed = dict(first)
    for name, count in second.items():
        summed[name] = summed.get(name, 0) + count
        if not summed[name]:
            del summed[name]
    return summed
