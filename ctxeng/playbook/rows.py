"""A persistent, ordered table of entries: a change costs the same in ten rows and in a million."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rpds import HashTrieMap

from ctxeng.playbook.entry import Entry, Provenance

_MODULUS = 1 << 256


class Row(NamedTuple):
    """An entry with what stands beside it, and the ids in front of it and behind it ("": none)."""

    entry: Entry
    front: str
    back: str
    votes: Mapping[str, int]
    provenance: Provenance
    hashed: int  # the entry's fingerprint, so that removing it need not hash it again

    # spelled out, since _replace takes longer than all the rest of a change

    def placed(self, front: str, back: str) -> Row:
        """The row between other neighbours."""
        return Row(self.entry, front, back, self.votes, self.provenance, self.hashed)

    def voted(self, votes: Mapping[str, int]) -> Row:
        """The row with other votes."""
        return Row(self.entry, self.front, self.back, votes, self.provenance, self.hashed)

    def rewritten(self, entry: Entry) -> Row:
        """The row with another entry of the same id."""
        return Row(entry, self.front, self.back, self.votes, self.provenance, fingerprint(entry))


def fingerprint(entry: Entry) -> int:
    """The entry's sha256, of its JSON with fields in order and defaults left out."""
    return int.from_bytes(hashlib.sha256(entry.model_dump_json(exclude_defaults=True).encode()).digest())


@dataclass(frozen=True, slots=True)
class Rows:
    """The table. Order is a linked list; `digest` is the sum of all fingerprints, whatever the order."""

    table: HashTrieMap[str, Row] = field(default_factory=HashTrieMap)
    first: str = ""
    last: str = ""
    digest: int = 0

    @classmethod
    def of(cls, items: Sequence[tuple[Entry, Mapping[str, int], Provenance]]) -> Rows:
        """A table of entries with their votes and provenance, in this order; ids must be distinct."""
        names = ["", *(entry.id for entry, _, _ in items), ""]
        table = {
            entry.id: Row(entry, names[place], names[place + 2], votes, provenance, fingerprint(entry))
            for place, (entry, votes, provenance) in enumerate(items)
        }
        digest = sum(row.hashed for row in table.values()) % _MODULUS
        return cls(HashTrieMap(table), first=names[1], last=names[-2], digest=digest)

    def __iter__(self) -> Iterator[Row]:
        name = self.first
        while name:
            row = self.table[name]
            yield row
            name = row.back

    def insert(
        self, entry: Entry, front: str | None, votes: Mapping[str, int], provenance: Provenance
    ) -> Rows:
        """With the entry behind the row `front`; None: at the end, "": first."""
        front = self.last if front is None else front
        back = self.table[front].back if front else self.first
        hashed = fingerprint(entry)
        table = self.table.insert(entry.id, Row(entry, front, back, votes, provenance, hashed))
        if front:
            beside = table[front]
            table = table.insert(front, beside.placed(beside.front, entry.id))
        if back:
            beside = table[back]
            table = table.insert(back, beside.placed(entry.id, beside.back))
        return Rows(
            table,
            first=self.first if front else entry.id,
            last=self.last if back else entry.id,
            digest=(self.digest + hashed) % _MODULUS,
        )

    def remove(self, name: str) -> Rows:
        """Without that row."""
        row = self.table[name]
        table = self.table.remove(name)
        if row.front:
            beside = table[row.front]
            table = table.insert(row.front, beside.placed(beside.front, row.back))
        if row.back:
            beside = table[row.back]
            table = table.insert(row.back, beside.placed(row.front, beside.back))
        return Rows(
            table,
            first=self.first if row.front else row.back,
            last=self.last if row.back else row.front,
            digest=(self.digest - row.hashed) % _MODULUS,
        )

    def replace(self, row: Row) -> Rows:
        """With another row of the same id in the same place."""
        digest = (self.digest - self.table[row.entry.id].hashed + row.hashed) % _MODULUS
        return Rows(self.table.insert(row.entry.id, row), self.first, self.last, digest)
