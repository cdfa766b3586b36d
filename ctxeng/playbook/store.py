"""A playbook on disk: a YAML file that people edit, a journal beside it, and many writers at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from ctxeng.errors import DeltaRefused
from ctxeng.playbook import history
from ctxeng.playbook.book import Applied, Playbook
from ctxeng.playbook.change import REDACTED
from ctxeng.playbook.delta import Delta, Redact
from ctxeng.playbook.files import StoreFiles, sha256
from ctxeng.playbook.history import Stats, Way
from ctxeng.playbook.journal import Body, Record
from ctxeng.playbook.rebase import Rebased, rebase
from ctxeng.playbook.redaction import Words, scrub_journal, scrub_yaml, sealed, words_of
from ctxeng.playbook.replay import Ledger
from ctxeng.storage.atomic import write_atomic


class PlaybookStore:
    """Opens, changes and writes one playbook; any number of processes and threads may at once.

    The journal is the truth between commits. What `apply` returned survives kill -9; a power loss takes at
    most what came after the last commit, and nothing with sync="always". `.playbook` is a frozen snapshot.
    A file that is not there yet is an empty playbook; the first commit writes it.
    """

    def __init__(
        self,
        path: Path | str,
        sync: Literal["batch", "always"] = "batch",
        *,
        cache: bool = True,
        timeout: float = 30.0,
    ) -> None:
        self.path = Path(path)
        self._files = StoreFiles(self.path, always_sync=sync == "always", cache=cache, timeout=timeout)

    def open(self) -> Playbook:
        """The playbook as YAML and journal have it. BadPlaybook, NewerPlaybook where they cannot be read."""
        return self.refresh()

    @property
    def playbook(self) -> Playbook:
        """The newest version this store knows of; never blocks, once it was opened."""
        ledger = self._files.ledger
        return ledger.playbook if ledger else self.open()

    @property
    def notes(self) -> tuple[str, ...]:
        """What reading the files had to skip or leave out, in words."""
        return self._files.notes

    def refresh(self) -> Playbook:
        """The newest version, with what other processes and hand edits brought."""
        with self._files.held():
            ledger = self._files.current()
            if self._files.yaml_changed():
                self._files.take_hand_edit(ledger)
            return self._files.current().playbook

    def apply(self, deltas: Sequence[Delta], *, by: str, why: str = "", key: str = "") -> Applied:
        """What came of a batch, journaled before this returns.

        Deltas proposed against an older version are re-applied on the newest: results say "superseded" or
        "conflict" where they lost, notes say why. DeltaRefused where what is left does not apply; nothing
        was changed then. A `key` that was used before applies nothing and returns what came of it then.
        """
        if "redact" in [delta.op for delta in deltas]:
            raise DeltaRefused(["use-redact" if delta.op == "redact" else "ok" for delta in deltas])
        with self._files.held():
            ledger = self._files.current()
            if key and key in ledger.keys:
                return self._recorded(ledger, key)
            rebased = rebase(deltas, ledger.playbook, ledger.since, by)
            try:
                applied = ledger.playbook.apply(rebased.apply, by)
            except DeltaRefused as error:
                raise DeltaRefused(rebased.results(error.results)) from error
            applied = _reported(applied, rebased)
            if not applied.inverse and not key:
                return applied
            body = Body(by=by, why=why, key=key, deltas=rebased.apply, notes=applied.notes)
            self._files.append(ledger, body, applied)
            return applied

    def has(self, key: str) -> bool:
        """Whether a batch of this key was applied before."""
        with self._files.held():
            return key in self._files.current().keys

    def applied(self, key: str) -> list[Delta]:
        """The deltas that landed under a key; none where it is new."""
        with self._files.held():
            ledger = self._files.current()
            if key not in ledger.keys:
                return []
            body = self._files.record_at(ledger.keys[key])
            results = body.results or ("ok",) * len(body.deltas)
            return [delta for delta, result in zip(body.deltas, results, strict=False) if result == "ok"]

    def commit(self) -> Playbook:
        """The playbook; its YAML now says the same, in one atomic step."""
        with self._files.held():
            ledger = self._files.current()
            if self._files.yaml_changed():
                self._files.take_hand_edit(ledger)
                ledger = self._files.current()
            if ledger.pending:
                self._files.write_yaml(ledger)
            return ledger.playbook

    def close(self) -> None:
        """Commits, and lets go of the files; the store may be opened again."""
        if self._files.ledger:
            self.commit()
        self._files.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def log(self, entry_id: str | None = None, limit: int | None = None) -> tuple[Record, ...]:
        """The journal's records, newest first; of one entry, if it is named."""
        with self._files.held():
            self._files.current()
            return history.about(self._files.records(), entry_id, limit)

    def undo(self, count: int = 1, *, by: str = "person:undo") -> Applied:
        """The last `count` batches taken back, by a record of their inverses; undoing twice goes two steps.

        BadInput where there are not as many; Conflict across a redaction.
        """
        with self._files.held():
            ledger = self._files.current()
            way = history.undoing(self._past(), count)
            return self._go_back(ledger, way, by, f"undo of {count}")

    def rollback(self, version: str, *, by: str = "person:rollback") -> Applied:
        """Entries, order, votes and provenance as they were at that version; the journal keeps the rest.

        UnknownName for a version that never was; Conflict across a redaction.
        """
        with self._files.held():
            ledger = self._files.current()
            way = history.rolling_back(self._past(), version)
            return self._go_back(ledger, way, by, f"rollback to {version}")

    def state_at(self, version: str) -> Playbook:
        """The playbook when it last had that version; UnknownName if it never had."""
        with self._files.held():
            ledger = self._files.current()
            if version == ledger.playbook.version:
                return ledger.playbook
            return history.state_at(self._past(), version)

    def redact(self, entry_id: str = "", *, pattern: str = "", by: str, why: str = "") -> tuple[str, ...]:
        """The places where the text was, or still is: gone from YAML, comments, journal and cache, for good.

        Give an entry's id, and all it ever said goes; or a literal pattern. Older commits of a git
        repository are beyond reach.
        """
        delta, files = Redact(id=entry_id, pattern=pattern, by=by), self._files
        with files.held():
            ledger = files.current()
            if files.yaml_changed():
                files.take_hand_edit(ledger)
                ledger = files.current()
            was, records = ledger.playbook, files.records()
            redacted = was.apply((delta,), by).playbook  # DeltaRefused for an id that is not there
            words = words_of(entry_id, was, records) if entry_id else Words(parts=(pattern,))
            places = [f"{self.path.name}: {name}" for name in _differing(was, redacted)]
            text, left = scrub_yaml(files.spliced(redacted, ledger.committed.own), words)
            mark = Redact(id=entry_id, pattern="" if entry_id else REDACTED, by=by)
            body = Body(by=by, why=words.out_of(why), deltas=(mark,))
            # the YAML first: if we die here, it is a hand edit, and asking again finds all the words
            write_atomic(self.path, text)
            if records:
                scrubbed = scrub_journal(records, files.empty, words)
                places += [f"{files.journal.path.name}: {scrubbed.count} records"] if scrubbed.count else []
                files.journal.rewrite(sealed(scrubbed, body, sha256(text)))
            places += files.forget_cache()
            ledger = files.reload()
            if not records:
                files.append(ledger, body)
                files.append(files.current(), Body(commit=sha256(text)))
            return (*places, *(f"{self.path.name}:{line}: still there, outside the entries" for line in left))

    def stats(self) -> Stats:
        """Figures of the playbook and its files."""
        with self._files.held():
            ledger = self._files.current()
            sizes = [
                path.stat().st_size if path.exists() else 0 for path in (self.path, self._files.journal.path)
            ]
            return history.figures(ledger, *sizes)

    def _past(self) -> list[history.Step]:
        return history.steps(self._files.empty, self._files.records())

    def _go_back(self, ledger: Ledger, way: Way, by: str, why: str) -> Applied:
        applied = ledger.playbook.apply(way.deltas, by)
        if way.deltas:
            body = Body(by=by, why=why, deltas=way.deltas, undoes=way.undoes)
            self._files.append(ledger, body, applied)
        return applied

    def _recorded(self, ledger: Ledger, key: str) -> Applied:
        """What came of the batch with that key, on the playbook as it is now."""
        body = self._files.record_at(ledger.keys[key])
        results = body.results or ("ok",) * len(body.deltas)
        return Applied(ledger.playbook, body.inverse, results, body.notes)


def _reported(applied: Applied, rebased: Rebased) -> Applied:
    if len(rebased.apply) == len(rebased.codes) and not rebased.overrides:
        return applied
    return Applied(applied.playbook, applied.inverse, rebased.results(applied.results), rebased.notes)


def _differing(old: Playbook, new: Playbook) -> list[str]:
    """Ids of the entries that are no longer the same object."""
    return [row.entry.id for row in old.rows if new.rows.table[row.entry.id].entry is not row.entry]
