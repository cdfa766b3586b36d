"""The playbook as a frozen value: entries in order, votes and provenance beside them, deltas in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from types import MappingProxyType

from rpds import HashTrieMap

from ctxeng.errors import DeltaRefused, UnknownName
from ctxeng.playbook.change import Stage, change
from ctxeng.playbook.delta import Add, Delta
from ctxeng.playbook.entry import Entry, Provenance
from ctxeng.playbook.rows import Row, Rows

SCHEMA = 1  # the version of the file format that this library writes


@dataclass(frozen=True, slots=True)
class Playbook:
    """One version of a playbook. Two are equal when entries, order, votes and provenance are."""

    name: str = "playbook"
    rows: Rows = field(default_factory=Rows)
    fixed: Mapping[str, Entry] = field(default_factory=lambda: MappingProxyType({}))
    gone: HashTrieMap[str, Add] = field(default_factory=HashTrieMap, compare=False, repr=False)
    schema: int = SCHEMA
    _own: list[tuple[Entry, ...]] = field(default_factory=list, init=False, compare=False, repr=False)

    @classmethod
    def of(cls, entries: Iterable[Entry], name: str = "playbook", extended: Iterable[Entry] = ()) -> Playbook:
        """A playbook of these entries without votes; `extended` are read-only. ValueError for a double id."""
        fixed: dict[str, Entry] = {}
        for entry in extended:
            if entry.id in fixed:
                raise ValueError(f"two extended entries have the id {entry.id!r}")
            fixed[entry.id] = entry
        own: dict[str, Entry] = {}
        for entry in entries:
            if entry.id in own or entry.id in fixed:
                raise ValueError(f"two entries have the id {entry.id!r}")
            own[entry.id] = entry
        rows = Rows.of([(entry, {}, Provenance()) for entry in own.values()])
        return cls(name=name, rows=rows, fixed=MappingProxyType(fixed))

    @property
    def own(self) -> tuple[Entry, ...]:
        """The entries of the playbook's own file, in order; walked once a version."""
        if not self._own:
            self._own.append(tuple(row.entry for row in self.rows))
        return self._own[0]

    @property
    def extended(self) -> tuple[Entry, ...]:
        """The read-only entries of the files it extends."""
        return tuple(self.fixed.values())

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries: the extended ones, then its own."""
        return (*self.fixed.values(), *self.own) if self.fixed else self.own

    @property
    def version(self) -> str:
        """16 hex digits of the hash of its own entries; votes and order do not count."""
        return f"{self.rows.digest >> 192:016x}"

    def __len__(self) -> int:
        return len(self.rows.table) + len(self.fixed)

    def __contains__(self, name: object) -> bool:
        return name in self.rows.table or name in self.fixed

    def get(self, name: str) -> Entry:
        """The entry of that id; UnknownName where there is none."""
        return self.fixed[name] if name in self.fixed else self._row(name).entry

    def votes(self, name: str) -> Mapping[str, int]:
        """The entry's counters, without those at zero."""
        return MappingProxyType({}) if name in self.fixed else MappingProxyType(dict(self._row(name).votes))

    def provenance(self, name: str) -> Provenance:
        """Where the entry comes from."""
        return Provenance() if name in self.fixed else self._row(name).provenance

    def taken(self, name: str) -> bool:
        """Whether the id is, or ever was, in use; what `mint` wants to know."""
        return name in self or name in self.gone

    def apply(self, deltas: Sequence[Delta], by: str = "") -> Applied:
        """The next version. All of the deltas apply, or none does: DeltaRefused with a code for each.

        `by` is who takes responsibility; "person:..." may touch frozen entries.
        """
        stage = Stage(self.rows, self.gone, self.fixed, by)
        results: list[str] = []
        inverse: list[tuple[Delta, ...]] = []
        for delta in deltas:
            outcome = change(stage, delta)
            stage = outcome.stage
            results.append(outcome.code)
            inverse.append(outcome.inverse)
        if not _HARMLESS.issuperset(results):
            raise DeltaRefused(results)
        return Applied(self.staged(stage), tuple(chain.from_iterable(reversed(inverse))), tuple(results))

    def staged(self, stage: Stage) -> Playbook:
        """This playbook with the rows that a batch of changes led to."""
        return Playbook(self.name, stage.rows, self.fixed, stage.gone, self.schema)

    def renamed(self, name: str) -> Playbook:
        """The same entries under another name."""
        return replace(self, name=name)

    def _row(self, name: str) -> Row:
        row = self.rows.table.get(name)
        if row is None:
            stem = name.rpartition("-")[0]
            alike = [known for known in self.rows.table if known.startswith(stem)]
            raise UnknownName("entry", name, alike[:8])
        return row


_HARMLESS = frozenset({"ok", "no-change"})


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of a batch: the next version, the deltas that take it back, a code for each delta.

    `notes` says in words what was superseded or in conflict, where a store re-applied the deltas.
    """

    playbook: Playbook
    inverse: tuple[Delta, ...]
    results: tuple[str, ...]
    notes: tuple[str, ...] = ()
