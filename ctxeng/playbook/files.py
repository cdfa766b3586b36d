"""The files of one playbook, YAML, journal, cache and lock, and the ledger that follows them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from ctxeng.errors import BadPlaybook
from ctxeng.playbook import cache as cachefile
from ctxeng.playbook.book import SCHEMA, Applied, Playbook
from ctxeng.playbook.diff import edits
from ctxeng.playbook.entry import Entry
from ctxeng.playbook.history import BEGINNING
from ctxeng.playbook.journal import Body, Lines, Record, decode, encode, now, ordered
from ctxeng.playbook.journalfile import JournalFile
from ctxeng.playbook.rebase import rebase
from ctxeng.playbook.replay import Ledger
from ctxeng.playbook.splice import splice, without_entries
from ctxeng.playbook.yamlfile import Parsed, parse
from ctxeng.storage.atomic import write_atomic
from ctxeng.storage.lock import ProcessLock

HAND_EDIT = "person:hand-edit"
_ALL_OK = frozenset({"ok"})
_WORTH_A_CACHE = 100  # entries and records together


class StoreFiles:
    """What a store keeps on disk. Everything but `ledger` and `notes` is used under `held()`."""

    def __init__(self, path: Path, *, always_sync: bool, cache: bool, timeout: float) -> None:
        stem = path.name.removesuffix(".yaml").removesuffix(".yml")
        self.path = path
        self.journal = JournalFile(path.with_name(f"{stem}.journal.jsonl"))
        self.ledger: Ledger | None = None
        self.empty = Playbook(stem)  # the name, and what it extends
        self._stem = stem
        self._folder = path.parent / ".ctxeng"
        self._cache = self._folder / f"{stem}.cache.json" if cache else None
        self._lock = ProcessLock(self._folder / f"{stem}.lock", timeout)
        self._always_sync = always_sync
        self._cached_count = -1
        self._can_write: bool | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What reading had to skip or leave out, in words."""
        torn = (self.journal.note,) if self.journal.note else ()
        return (*(self.ledger.notes if self.ledger else ()), *torn)

    def held(self) -> AbstractContextManager[None]:
        """Nobody else changes the playbook meanwhile. StoreLocked after the timeout."""
        if self._can_write is None:
            self._can_write = os.access(self.path.parent, os.W_OK)
        if not self._can_write:  # a playbook that is installed, not worked on
            return nullcontext()
        if self.ledger is None and not self._folder.exists():
            self._folder.mkdir(exist_ok=True)
            (self._folder / ".gitignore").write_text("*\n", encoding="utf-8")
        return self._lock

    # -- reading

    def current(self) -> Ledger:
        """The ledger with all that was appended since it last looked."""
        if self.ledger is None:
            return self.reload()
        line, start = self.journal.line, self.journal.offset
        data = self.journal.unread()
        if data == b"":
            return self.ledger
        if data is None or not self.ledger.count:
            return self.reload()
        lines = decode(data, str(self.journal.path), line, start)
        if not _continues(lines, self.ledger):
            return self.reload(use_cache=False)
        self._take(self.ledger, lines.records, lines.notes)
        return self.ledger

    def reload(self, *, use_cache: bool = True) -> Ledger:
        """The ledger, from the files alone."""
        text = self._text()
        self.empty = self._bare(text or "")
        self.journal.close()
        cached = use_cache and self._cache is not None
        ledger = cachefile.load(self._cache, self.empty, self.journal) if cached and self._cache else None
        if ledger and not ledger.count and ledger.yaml != sha256(text or ""):
            ledger = None
        self._cached_count = ledger.count if ledger else -1
        ledger = ledger or Ledger(self.empty, self.empty)
        line, start = self.journal.line, self.journal.offset
        lines = decode(self.journal.unread() or b"", str(self.journal.path), line, start)
        if ledger.count and not _continues(lines, ledger):
            return self.reload(use_cache=False)
        records = lines.records if _continues(lines, ledger) else ordered(lines, str(self.journal.path))
        self._take(ledger, records, lines.notes)
        if not ledger.count and not len(ledger.playbook.rows.table) and text:
            playbook = self._of(parse(text, str(self.path)))
            ledger = Ledger(playbook, playbook, yaml=sha256(text))
        self.ledger = ledger
        self._save_cache(ledger)
        return ledger

    def records(self) -> list[Record]:
        """All of the journal, each record behind those it builds on."""
        if not self.journal.path.exists():
            return []
        lines = decode(self.journal.path.read_bytes(), str(self.journal.path))
        return ordered(lines, str(self.journal.path))

    def record_at(self, start: int) -> Body:
        """What the record says whose line starts there."""
        found = decode(self.journal.line_at(start), str(self.journal.path)).records
        if not found:
            raise BadPlaybook(f"{self.journal.path}: no record at byte {start}, though one was there")
        return found[0].body

    def yaml_changed(self) -> bool:
        """Whether the YAML is not what was last committed; a missing file is no edit."""
        text = self._text()
        return text is not None and self.ledger is not None and sha256(text) != self.ledger.yaml

    # -- writing

    def take_hand_edit(self, ledger: Ledger) -> None:
        """Journals what differs between the YAML and the last commit, as a person's change."""
        text = self._text() or ""
        if not ledger.count:
            self.reload()
            return
        parsed = parse(text, str(self.path))
        wanted = self._of(parsed)  # refuses ids of extended entries
        pending = ledger.pending
        deltas = edits(ledger.committed, wanted.own, HAND_EDIT, order=not pending)
        if pending:
            based = {"base": ledger.committed.version}
            deltas = tuple(delta.model_copy(update=based) for delta in deltas)
        rebased = rebase(deltas, ledger.playbook, ledger.since_commit, HAND_EDIT)
        applied = ledger.playbook.apply(rebased.apply, HAND_EDIT)
        if not self._can_write:
            ledger.playbook, ledger.yaml = applied.playbook, sha256(text)
            return
        if applied.inverse:
            why = f"{self.path.name} was edited by hand"
            body = Body(by=HAND_EDIT, why=why, deltas=rebased.apply, notes=rebased.notes)
            self.append(ledger, body, applied)
        if pending:
            self.write_yaml(ledger, parsed.entries)
        else:
            self.append(ledger, Body(commit=sha256(text)))

    def append(self, ledger: Ledger, body: Body, applied: Applied | None = None) -> None:
        """Writes a record and takes it down; with no `applied` it changes nothing in the playbook."""
        self._write(ledger if ledger.count else self._begin(ledger), body, applied)

    def _write(self, ledger: Ledger, body: Body, applied: Applied | None) -> None:
        done = applied or Applied(ledger.playbook, (), ())
        written = Body(  # dataclasses.replace takes a tenth of all the time an append needs
            time=now(),
            by=body.by,
            why=body.why,
            key=body.key,
            deltas=body.deltas,
            inverse=done.inverse,
            results=() if _ALL_OK.issuperset(done.results) else done.results,
            notes=body.notes,
            before=ledger.playbook.version,
            after="" if body.commit else done.playbook.version,
            commit=body.commit,
            also=ledger.also,
            undoes=body.undoes,
        )
        line, digest = encode(ledger.tail, written)
        start = self.journal.append(line, sync=self._always_sync)
        ledger.note(Record(ledger.tail, digest, written, start=start), done)

    def write_yaml(self, ledger: Ledger, old: Sequence[Entry] | None = None) -> None:
        """Splices the playbook into the YAML, whose entries are `old` (those of the last commit)."""
        text = self._text()
        new_text = self.spliced(ledger.playbook, ledger.committed.own if old is None else old)
        self.journal.sync()  # first, so that the YAML never knows more than the journal
        if new_text != text:
            write_atomic(self.path, new_text.encode())
        self.append(ledger, Body(commit=sha256(new_text)))

    def spliced(self, playbook: Playbook, old: Sequence[Entry]) -> str:
        """The YAML's text with the playbook's entries in it."""
        text = self._text()
        if text is None:
            return splice(f"ctxeng: {SCHEMA}\nplaybook: {playbook.name}\n", (), playbook.own)
        return splice(text, old, playbook.own)

    def forget_cache(self) -> list[str]:
        """The cache is gone; its name, if there was one."""
        if self._cache is None or not self._cache.exists():
            return []
        self._cache.unlink()
        return [f"{self._folder.name}/{self._cache.name}"]

    def close(self) -> None:
        """Caches the state and lets go of the files."""
        if self.ledger is not None:
            with self.held():
                self._save_cache(self.current())
        self.journal.close()
        self._lock.close()
        self.ledger = None

    def _begin(self, ledger: Ledger) -> Ledger:
        """A new journal opens with what the file held, so that it can be replayed from nothing."""
        fresh = self.ledger = Ledger(self.empty, self.empty)
        adds = edits(self.empty, ledger.playbook.own, HAND_EDIT)
        if adds:
            body = Body(by=HAND_EDIT, why=f"{BEGINNING}: {self.path.name}", deltas=adds)
            self._write(fresh, body, self.empty.apply(adds, HAND_EDIT))
        text = self._text()
        if text is not None:
            self._write(fresh, Body(commit=sha256(text)), None)
        return fresh

    def _take(self, ledger: Ledger, records: Sequence[Record], notes: Sequence[str]) -> None:
        ledger.notes += notes
        self.ledger = None  # half taken is not to be used
        for record in records:
            ledger.take(record)
        self.ledger = ledger

    def _save_cache(self, ledger: Ledger) -> None:
        size = len(ledger.playbook.rows.table) + ledger.count
        is_new = ledger.count != self._cached_count
        if self._cache and self._can_write and is_new and not ledger.pending and size >= _WORTH_A_CACHE:
            cachefile.save(self._cache, ledger, self.journal, ledger.last_start)
            self._cached_count = ledger.count

    def _text(self) -> str | None:
        try:
            return self.path.read_bytes().decode()
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            raise BadPlaybook(f"{self.path}: not UTF-8 at byte {error.start}") from error

    def _bare(self, text: str) -> Playbook:
        """The playbook without entries of its own, from the other keys of the file."""
        small = without_entries(text)
        try:
            parsed = parse(small, str(self.path)) if small else parse(text, str(self.path))
        except BadPlaybook:
            parsed = parse(text, str(self.path))  # the true place of the error, if it is one
        extended = [entry for name in parsed.extends for entry in self._extended(name)]
        try:
            return Playbook.of((), parsed.name or self._stem, extended)
        except ValueError as error:
            raise BadPlaybook(f"{self.path}: extends: {error}") from error

    def _extended(self, name: str) -> tuple[Entry, ...]:
        """The entries of another file. It contributes nothing else, so what it extends itself is not read."""
        path = self.path.parent / name
        try:
            return parse(path.read_text(encoding="utf-8"), str(path)).entries
        except OSError as error:
            raise BadPlaybook(f"{self.path}: extends {name}: {error.strerror}") from error

    def _of(self, parsed: Parsed) -> Playbook:
        try:
            return Playbook.of(parsed.entries, self.empty.name, self.empty.extended)
        except ValueError as error:
            raise BadPlaybook(f"{self.path}: {error}") from error


def _continues(lines: Lines, ledger: Ledger) -> bool:
    """Whether the records follow one another from the ledger's last one on."""
    tail, also = ledger.tail, set(ledger.also)
    for record in lines.records:
        if record.prev != tail or not also.issuperset(record.body.also):
            return False
        tail, also = record.hash, also - set(record.body.also)
    return True


def sha256(text: str) -> str:
    """The hash by which a YAML text is known in the journal."""
    return hashlib.sha256(text.encode()).hexdigest()
