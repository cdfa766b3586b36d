"""What the journal of a playbook amounts to: records in, the playbook and what a store must know out."""

from __future__ import annotations

from dataclasses import dataclass, field

from ctxeng.errors import BadPlaybook, DeltaRefused
from ctxeng.playbook.book import Applied, Playbook
from ctxeng.playbook.change import Stage, change
from ctxeng.playbook.delta import Add, Delta, Remove, Update, by_person
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
    committed_at: int = 0  # how many it was at the last commit
    versions: dict[str, int] = field(default_factory=dict)  # version -> count when it was last current
    touched: dict[str, tuple[int, int, str, str]] = field(default_factory=dict)  # see _touch
    keys: dict[str, int] = field(default_factory=dict)  # idempotency key -> where its record starts
    last_start: int = 0  # where the last record starts
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
        if self.also:
            self.also = tuple(each for each in self.also if each != record.prev and each not in body.also)
        self.tail, self.playbook, self.last_start = record.hash, applied.playbook, record.start
        self.count += 1
        if body.key:
            self.keys[body.key] = record.start
        if body.commit:
            self.yaml, self.committed, self.committed_at = body.commit, self.playbook, self.count
            return
        for delta in body.deltas:
            self._touch(delta, person=by_person(delta, body.by))
        self.versions[self.playbook.version] = self.count

    @property
    def pending(self) -> int:
        """Records since the last commit."""
        return self.count - self.committed_at

    def since(self, base: str, name: str) -> Touch | None:
        """What happened to the entry after that version; what `rebase` wants to know."""
        seen = self.versions.get(base)
        if seen is None:
            return Touch("unknown")
        last, person, op, into = self.touched.get(name, (0, 0, "", ""))
        return Touch(op, person > seen, into) if last > seen else None

    def since_commit(self, _: str, name: str) -> Touch | None:
        """What happened to the entry since the last commit, as a hand edit sees it: it beats everybody."""
        last, _person, op, into = self.touched.get(name, (0, 0, "", ""))
        return Touch(op, into=into) if last > self.committed_at else None

    def _touch(self, delta: Delta, *, person: bool) -> None:
        """Per entry: the count at its last change, at a person's last one, and which operation it was."""
        if delta.op == "tag":
            return
        into = delta.into if delta.op == "merge" else ""
        for name in delta.targets:
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
                self.notes.append(f"joined branches: {delta.op} {' '.join(delta.targets)} left out: {why}")
        playbook = self.playbook.staged(stage)
        return Applied(playbook, tuple(inverse), tuple(results))

    def _misfit(self, delta: Delta, inverse: tuple[Delta, ...], stage: Stage) -> str:
        """Why a record's delta no longer fits: the inverse says which words it was made on."""
        match delta:
            case Update() if row := stage.rows.table.get(delta.id):
                made_on = [
                    each.fields for each in inverse if isinstance(each, Update) and each.id == delta.id
                ]
                fits = [all(getattr(row.entry, name) == old for name, old in one.items()) for one in made_on]
                return "" if any(fits) or not fits else "the other branch changed it"
            case Remove() if row := stage.rows.table.get(delta.id):
                was = [each.entry for each in inverse if isinstance(each, Add) and each.entry.id == delta.id]
                last, last_person, _, _ = self.touched.get(delta.id, (0, 0, "", ""))
                is_persons = last == last_person and not by_person(delta, stage.by)
                return (
                    "a person changed it on the other branch" if is_persons and row.entry not in was else ""
                )
            case _:
                return ""


def _anchored(delta: Delta, stage: Stage) -> Delta:
    """An Add whose anchor the other branch removed goes to the end."""
    if isinstance(delta, Add) and delta.after and delta.after not in stage.rows.table:
        return delta.model_copy(update={"after": None})
    return delta
