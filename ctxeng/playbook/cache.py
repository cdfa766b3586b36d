"""A store's state as one JSON file, so that opening a large playbook parses neither YAML nor journal."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import MappingProxyType

from pydantic import TypeAdapter, ValidationError
from rpds import HashTrieMap

from ctxeng.playbook.book import SCHEMA, Playbook
from ctxeng.playbook.delta import Add
from ctxeng.playbook.entry import Entry, Provenance
from ctxeng.playbook.journalfile import JournalFile
from ctxeng.playbook.replay import REMEMBERED, Ledger
from ctxeng.playbook.rows import Rows
from ctxeng.storage.atomic import write_atomic
from ctxeng.turn import Value


class _Snapshot(Value):
    """A ledger at a commit, and the place in the journal that it stands for."""

    schema_version: int = SCHEMA
    yaml: str
    offset: int
    line: int
    last_line: str  # sha256 of the journal's last line before the offset
    tail: str
    also: tuple[str, ...]
    count: int
    entries: tuple[Entry, ...]
    votes: dict[str, dict[str, int]]
    provenance: dict[str, Provenance]
    gone: tuple[Add, ...]
    versions: dict[str, int]
    touched: dict[str, tuple[int, int, str, str]]
    keys: dict[str, int]
    last_start: int


_SNAPSHOT = TypeAdapter(_Snapshot)


def save(path: Path, ledger: Ledger, journal: JournalFile, last_start: int) -> None:
    """The ledger's state in that file. It must be at a commit."""
    rows = list(ledger.playbook.rows)
    oldest = ledger.count - REMEMBERED
    last_line = journal.line_at(last_start) if journal.offset else b""
    snapshot = _Snapshot(
        yaml=ledger.yaml,
        offset=journal.offset,
        line=journal.line,
        last_line=hashlib.sha256(last_line).hexdigest(),
        last_start=last_start,
        tail=ledger.tail,
        also=ledger.also,
        count=ledger.count,
        entries=tuple(row.entry for row in rows),
        votes={row.entry.id: dict(row.votes) for row in rows if row.votes},
        provenance={row.entry.id: row.provenance for row in rows if row.provenance != Provenance()},
        gone=tuple(ledger.playbook.gone.values()),
        versions={version: count for version, count in ledger.versions.items() if count > oldest},
        touched={name: touch for name, touch in ledger.touched.items() if touch[0] > oldest},
        keys=ledger.keys,
    )
    body = _SNAPSHOT.dump_json(snapshot)
    write_atomic(path, hashlib.sha256(body).hexdigest().encode() + b"\n" + body, sync=False)


def load(path: Path, empty: Playbook, journal: JournalFile) -> Ledger | None:
    """The ledger of that file, the journal ready to be read on from there; None where it does not fit.

    `empty` is the playbook without entries of its own. A cache that is damaged, older, or of another
    journal is no error: it is built anew.
    """
    try:
        checksum, _, body = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if hashlib.sha256(body).hexdigest().encode() != checksum:
        return None
    try:
        snapshot = _SNAPSHOT.validate_json(body)
    except ValidationError:
        return None
    if snapshot.schema_version != SCHEMA or not _fits(snapshot, journal):
        return None
    if any(entry.id in empty for entry in snapshot.entries):
        return None
    nowhere, none = Provenance(), MappingProxyType[str, int]({})
    rows = Rows.of(
        [
            (entry, snapshot.votes.get(entry.id, none), snapshot.provenance.get(entry.id, nowhere))
            for entry in snapshot.entries
        ]
    )
    gone = HashTrieMap({add.entry.id: add for add in snapshot.gone})
    playbook = Playbook(empty.name, rows, empty.fixed, gone)
    return Ledger(
        playbook=playbook,
        committed=playbook,
        yaml=snapshot.yaml,
        tail=snapshot.tail,
        also=snapshot.also,
        count=snapshot.count,
        committed_at=snapshot.count,
        versions=dict(snapshot.versions),
        touched=dict(snapshot.touched),
        keys=dict(snapshot.keys),
        last_start=snapshot.last_start,
    )


def _fits(snapshot: _Snapshot, journal: JournalFile) -> bool:
    """Whether the journal still has, at that place, the record the snapshot was taken behind."""
    if not snapshot.offset:
        return not journal.path.exists()
    if not journal.at(snapshot.offset, snapshot.line):
        return False
    line = journal.line_at(snapshot.last_start)
    is_last = snapshot.last_start + len(line) + 1 == snapshot.offset
    if is_last and hashlib.sha256(line).hexdigest() == snapshot.last_line:
        return True
    journal.close()
    return False
