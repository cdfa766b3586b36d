"""The append-only journal beside a playbook: hash-chained JSON lines that git may merge as a union."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from ctxeng.errors import BadPlaybook
from ctxeng.playbook.delta import Delta

GIT_ATTRIBUTES = "*.journal.jsonl merge=union\n"
WAY_OUT = (
    "restore the file from git or a backup; or delete it, and the YAML alone counts, "
    "without votes, provenance and undo"
)


@dataclass(frozen=True, slots=True)
class Body:
    """What a record says: a batch that was applied, or with `commit` that the YAML was written.

    `commit` is the sha256 of the YAML; `also` names further records it builds on, where git joined two
    branches; `undoes` the records it takes back; `before` and `after` are versions of the playbook.
    """

    time: str = ""
    by: str = ""
    why: str = ""
    key: str = ""
    deltas: tuple[Delta, ...] = ()
    inverse: tuple[Delta, ...] = ()
    results: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    before: str = ""
    after: str = ""
    commit: str = ""
    also: tuple[str, ...] = ()
    undoes: tuple[str, ...] = ()


class Record(NamedTuple):
    """A line of the journal: its hash, that of the record it builds on, and what it says."""

    prev: str
    hash: str
    body: Body
    line: int = 0
    start: int = 0  # offset of its line in the file, in bytes


class Lines(NamedTuple):
    """What was read: the records, and in words what was skipped."""

    records: list[Record]
    notes: list[str]


_BODY = TypeAdapter(Body)
_HASH = 64  # hex digits of a sha256


def now() -> str:
    """The time of a record: UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def encode(prev: str, body: Body) -> tuple[bytes, str]:
    """The record's line, and its hash: of the previous one and of the body as it is written."""
    # by hand, since the general way takes a third of all the time an append needs
    head = (
        f'{{"time":{_quoted(body.time)},"by":{_quoted(body.by)},'
        f'"before":{_quoted(body.before)},"after":{_quoted(body.after)}'
    )
    for name in _SELDOM:
        if value := getattr(body, name):
            head += f',"{name}":{json.dumps(value, ensure_ascii=False)}'
    deltas = ",".join([delta.model_dump_json() for delta in body.deltas])
    inverse = ",".join([delta.model_dump_json() for delta in body.inverse])
    written = f'{head},"deltas":[{deltas}],"inverse":[{inverse}]}}'.encode("utf-8", "replace")
    digest = hashlib.sha256(prev.encode() + written).hexdigest()
    return b'{"prev":"%b","hash":"%b",%b\n' % (prev.encode(), digest.encode(), written[1:]), digest


_quoted = json.encoder.encode_basestring
_SELDOM = ("why", "key", "results", "notes", "commit", "also", "undoes")


def decode(data: bytes, path: str, first_line: int = 1, start: int = 0) -> Lines:
    """The records of these lines, each one's hash checked, repeated ones once.

    A line that cannot be read is skipped and noted: a power loss tears the last one. BadPlaybook where a
    record builds on it after all is the business of `ordered`.
    """
    records: dict[str, Record] = {}
    notes: list[str] = []
    for number, line in enumerate(data.split(b"\n"), first_line):
        offset, start = start, start + len(line) + 1
        if not line.strip():
            continue
        try:
            record = _decoded(line.rstrip(b"\r"), number, offset)
        except ValidationError as error:
            raise BadPlaybook(
                f"{path}:{number}: a whole record that this library cannot read, perhaps of a later version: "
                f"{error.errors()[0]['msg']}; try: pip install -U ctxeng-framework"
            ) from error
        if record is None:
            notes.append(f"{path}:{number}: skipped a torn line of {len(line)} bytes")
        else:
            records.setdefault(record.hash, record)
    return Lines(list(records.values()), notes)


def _decoded(line: bytes, number: int, offset: int) -> Record | None:
    """The record in a line; None where it is torn or changed."""
    prev, found, rest = line.removeprefix(b'{"prev":"').partition(b'","hash":"')
    digest, written = rest[:_HASH], b"{" + rest[_HASH + 2 :]
    if not found or hashlib.sha256(prev + written).hexdigest().encode() != digest:
        return None
    return Record(prev.decode(), digest.decode(), _BODY.validate_json(written), number, offset)


def ordered(lines: Lines, path: str, known: Iterable[str] = ()) -> list[Record]:
    """The records so that each comes behind those it builds on; the same order for the same set.

    A branch is followed to its end before the next one, branches in the order of their hashes. BadPlaybook
    where a record builds on one that is neither here nor `known`.
    """
    records = lines.records
    present = {record.hash for record in records}
    done = {"", *known}
    missing = [
        (record.line, parent)
        for record in records
        for parent in parents(record)
        if parent not in present and parent not in done
    ]
    if missing:
        line, parent = min(missing)
        skipped = f" ({lines.notes[0]})" if lines.notes else ""
        raise BadPlaybook(
            f"{path}:{line}: the journal is damaged: this record builds on {parent[:12]}, which is missing "
            f"or was changed{skipped}; {WAY_OUT}"
        )
    children: dict[str, list[Record]] = {}
    waiting = {}
    ready: list[tuple[int, str, Record]] = []
    for record in records:
        open_parents = [parent for parent in parents(record) if parent not in done]
        waiting[record.hash] = len(open_parents)
        for parent in open_parents:
            children.setdefault(parent, []).append(record)
        if not open_parents:
            ready.append((0, record.hash, record))
    heapq.heapify(ready)
    order: list[Record] = []
    while ready:
        _, digest, record = heapq.heappop(ready)
        order.append(record)
        for child in children.get(digest, []):
            waiting[child.hash] -= 1
            if not waiting[child.hash]:
                heapq.heappush(ready, (-len(order), child.hash, child))
    return order


def heads(records: Iterable[Record]) -> tuple[str, ...]:
    """The records that nothing builds on; more than one after git has joined two branches."""
    every = list(records)
    built_on = {parent for record in every for parent in parents(record)}
    return tuple(sorted(record.hash for record in every if record.hash not in built_on))


def parents(record: Record) -> tuple[str, ...]:
    """The records it builds on."""
    return (record.prev, *record.body.also)
