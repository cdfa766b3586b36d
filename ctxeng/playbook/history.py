"""What a journal tells of the past: the log, the way back, any earlier state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from ctxeng.errors import BadInput, Conflict, UnknownName
from ctxeng.playbook.book import Applied, Playbook
from ctxeng.playbook.delta import Delta, Redact
from ctxeng.playbook.journal import Record
from ctxeng.playbook.replay import Ledger
from ctxeng.turn import Value


class Step(NamedTuple):
    """A record and what it did."""

    record: Record
    applied: Applied


class Way(NamedTuple):
    """Deltas that lead back, and the hashes of the records they undo."""

    deltas: tuple[Delta, ...]
    undoes: tuple[str, ...]


class Stats(Value):
    """Figures of a playbook and its journal; `votes` are sums over all entries."""

    name: str
    version: str
    entries: int
    extended: int
    status: dict[str, int] = {}
    sections: dict[str, int] = {}
    votes: dict[str, int] = {}
    removed: int = 0
    records: int = 0
    pending: int = 0
    yaml_bytes: int = 0
    journal_bytes: int = 0


def steps(empty: Playbook, records: Sequence[Record]) -> list[Step]:
    """Every batch in order with what it did, from the empty playbook on; commits are left out."""
    ledger = Ledger(empty, empty)
    taken = [Step(record, ledger.take(record)) for record in records]
    return [step for step in taken if not step.record.body.commit]


def about(records: Sequence[Record], entry_id: str | None, limit: int | None) -> tuple[Record, ...]:
    """The records that changed something (this entry, if one is named), newest first."""
    changed = [
        record
        for record in reversed(records)
        if not record.body.commit
        and (entry_id is None or any(entry_id in delta.targets for delta in record.body.deltas))
    ]
    return tuple(changed[:limit])


def undoing(past: Sequence[Step], count: int) -> Way:
    """The way back over the last `count` batches that are not undone yet.

    BadInput where there are not as many, Conflict where a redaction lies on the way. What the YAML held
    when its journal began is never undone.
    """
    undone = {digest for step in past for digest in step.record.body.undoes}
    left = [
        place
        for place, step in enumerate(past)
        if step.record.hash not in undone and not step.record.body.undoes and not _is_beginning(step)
    ]
    if not 0 < count <= len(left):
        raise BadInput(f"cannot undo {count} batches: {len(left)} can be undone")
    _no_redaction(past[left[-count] :])
    back = [past[place] for place in reversed(left[-count:])]
    return Way(_inverses(back), tuple(step.record.hash for step in back))


def rolling_back(past: Sequence[Step], version: str) -> Way:
    """The way back to the last state of that version. UnknownName, or Conflict across a redaction."""
    place = _place(past, version)
    _no_redaction(past[place + 1 :])
    return Way(_inverses(list(reversed(past[place + 1 :]))), ())


def state_at(past: Sequence[Step], version: str) -> Playbook:
    """The playbook when it last had that version; UnknownName if it never had."""
    place = _place(past, version)
    return past[place].applied.playbook if place >= 0 else Playbook()


def figures(ledger: Ledger, yaml_bytes: int, journal_bytes: int) -> Stats:
    """What can be counted."""
    playbook = ledger.playbook
    votes: Counter[str] = Counter()
    for row in playbook.rows:
        votes.update(row.votes)
    return Stats(
        name=playbook.name,
        version=playbook.version,
        entries=len(playbook.own),
        extended=len(playbook.extended),
        status=dict(Counter(entry.status for entry in playbook.own)),
        sections=dict(Counter(entry.section for entry in playbook.own)),
        votes=dict(votes),
        removed=len(playbook.gone),
        records=ledger.count,
        pending=ledger.pending,
        yaml_bytes=yaml_bytes,
        journal_bytes=journal_bytes,
    )


def _place(past: Sequence[Step], version: str) -> int:
    for place in range(len(past) - 1, -1, -1):
        if past[place].applied.playbook.version == version:
            return place
    if version == Playbook().version:
        return -1  # before the first record
    recent = dict.fromkeys(step.applied.playbook.version for step in past[-8:])
    raise UnknownName("version", version, tuple(recent))


def _inverses(back: Sequence[Step]) -> tuple[Delta, ...]:
    return tuple(delta for step in back for delta in step.applied.inverse)


def _no_redaction(way: Sequence[Step]) -> None:
    for step in way:
        if any(isinstance(delta, Redact) for delta in step.record.body.deltas):
            raise Conflict(f"a redaction of {step.record.body.time} lies on the way and has no inverse")


def _is_beginning(step: Step) -> bool:
    return not step.record.prev and step.record.body.why.startswith(BEGINNING)


BEGINNING = "what the file held"  # why of the record a journal opens with
