"""What the journal of a playbook amounts to: records in, the playbook and what a store must know out."""

from __future__ import annotations

from dataclasses import dataclass, field

from ctxeng.errors import BadPlaybook, DeltaRefused
from ctxeng.playbook.book import Applied, Playbook
from ctxeng.playbook.change import Stage, change
from ctxeng.playbook.delta import Add, Delta, Merge, Redact, Remove, Tag, Update, by_person, targets
from ctxeng.playbook.journal import Record
from ctxeng.playbook.rebase import Touch

REMEMBERED = 10_000  # how many versions back a base may lie, once a store was closed


@dataclass
class Ledger:
    """The state after some records. It grows record by record, under the lock of its store."""

    playbook: Playbook
    committed: Playbook  # as the YAML has it
    yaml: str = ""  # sha256 of the YAML at the last commit
    tail: str = ""  # hash of the last record; what the next one builds on
    also: tuple[str, ...] = ()  # further records that nothing builds on yet
    count: int = 0  # records so far
    pending: int = 0  # records since the last commit
    versions: dict[str, int] = field(default_factory=dict)  # version -> count when it was last current
    touched: dict[str, tuple[int, int, str, str]] = field(default_factory=dict)  # see _touch
    keys: dict[str, str] = field(default_factory=dict)  # idempotency key -> hash of the record
    notes: list[str] = field(default_factory=list)

    def take(self, record: Record) -> Applied:
        """The state with one more record. BadPlaybook where it does not apply, though it is in its chain.

        Behind a fork (git joined two branches) the record was made on other entries than these: what
        does not fit any more is left out and noted.
        """
        body, current = record.body, self.playbook
        is_fork = bool(self.tail) and record.prev != self.tail
        stranger = body.before != current.version and not body.commit
        if is_fork or stranger:
            applied = self._take_what_fits(record)
        else:
            try:
                applied = current.apply(body.deltas, body.by)
            except DeltaRefused as error:
                raise BadPlaybook(f"line {record.line} of the journal does not apply: {error}") from error
        self.note(record, applied)
        return applied

    def note(self, record: Record, applied: Applied) -> None:
        """Takes down a record that was applied already."""
        body = record.body
        if record.prev != self.tail and self.tail:
            self.also = (*self.also, self.tail)
        self.also = tuple(each for each in self.also if each != record.prev and each not in body.also)
        self.tail, self.playbook = record.hash, applied.playbook
        self.count += 1
        if body.key:
            self.keys[body.key] = record.hash
        if body.commit:
            self.yaml, self.committed, self.pending = body.commit, self.playbook, 0
            return
        self.pending += 1
        for delta in body.deltas:
            self._touch(delta, person=by_person(delta, body.by))
        self.versions[self.playbook.version] = self.count

    def since(self, base: str, name: str) -> Touch | None:
        """What happened to the entry after that version; what `rebase` wants to know."""
        seen = self.versions.get(base)
        if seen is None:
            return Touch("unknown")
        last, person, op, into = self.touched.get(name, (0, 0, "", ""))
        return Touch(op, person > seen, into) if last > seen else None

    def _touch(self, delta: Delta, *, person: bool) -> None:
        """Per entry: the count at its last change, at a person's last one, and which operation it was."""
        if isinstance(delta, Tag):
            return
        into = delta.into if isinstance(delta, Merge) else ""
        for name in targets(delta):
            before = self.touched.get(name, (0, 0, "", ""))
            last_person = self.count if person else before[1]
            self.touched[name] = (self.count, last_person, delta.op, into if into != name else "")

    def _take_what_fits(self, record: Record) -> Applied:
        body = record.body
        stage = Stage(self.playbook.rows, self.playbook.gone, self.playbook.fixed, body.by)
        inverse: list[Delta] = []
        results: list[str] = []
        for delta in body.deltas:
            why = self._misfit(delta, body.inverse, stage)
            if not why:
                outcome = change(stage, _anchored(delta, stage))
                stage, why = outcome.stage, "" if outcome.code in {"ok", "no-change"} else outcome.code
                inverse[:0] = outcome.inverse
            results.append("superseded" if why else "ok")
            if why:
                self.notes.append(f"joined branches: {delta.op} {' '.join(targets(delta))} left out: {why}")
        playbook = self.playbook.staged(stage)
        return Applied(playbook, tuple(inverse), tuple(results))

    def _misfit(self, delta: Delta, inverse: tuple[Delta, ...], stage: Stage) -> str:
        """Why a record's delta no longer fits: the inverse says which words it was made on."""
        match delta:
            case Update():
                row = stage.rows.table.get(delta.id)
                made_on = next((each for each in inverse if isinstance(each, Update) and each.id == delta.id), None)
                if row is None or made_on is None:
                    return ""
                other = [name for name, old in made_on.fields.items() if getattr(row.entry, name) != old]
                return f"the other branch changed its {', '.join(other)}" if other else ""
            case Remove():
                made_on_add = next((e for e in inverse if isinstance(e, Add) and e.entry.id == delta.id), None)
                row = stage.rows.table.get(delta.id)
                changed = row and made_on_add and row.entry != made_on_add.entry
                by_someone = self.touched.get(delta.id, (0, 0, "", ""))
                person_last = by_someone[1] == by_someone[0] > 0
                if changed and person_last and not by_person(delta, stage.by):
                    return "a person changed it on the other branch"
                return ""
            case Add() | Merge() | Tag() | Redact():
                return ""


def _anchored(delta: Delta, stage: Stage) -> Delta:
    """An Add whose anchor the other branch removed goes to the end."""
    if isinstance(delta, Add) and delta.after and delta.after not in stage.rows.table:
        return delta.model_copy(update={"after": None})
    return delta
