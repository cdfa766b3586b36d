"""One write to a session: at its version, whole, and known again when it is tried twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from ctxeng.errors import BadInput, Conflict
from ctxeng.memory.store_rows import named
from ctxeng.storage.sql import Run

OWNER = (  # locks the owner's row too
    "INSERT INTO memory_owners (owner, ticks, generation) VALUES (?, ?, 0)"
    " ON CONFLICT (owner) DO UPDATE SET ticks = memory_owners.ticks + excluded.ticks RETURNING id"
)
# locks the owner's row where there is one, so that what a user writes arrives in one order; without
# RETURNING, which alone costs SQLite more than reading the row with the session below
_TICKS = "UPDATE memory_owners SET ticks = ticks + ? WHERE owner = ?"
_STATE = (
    "SELECT o.id, o.ticks, s.id, s.version, s.records, s.edits, s.first, s.last"
    " FROM memory_owners o LEFT JOIN memory_sessions s"
    ' ON s.tenant = ? AND s."user" = ? AND s.session = ? WHERE o.owner = ?'
)


class NotAt(Conflict):
    """The session is not at the version that a write was made for."""


@dataclass(frozen=True)
class Write:
    """One write as it is done in a transaction.

    `whose` is tenant, user and session, `owner` the digest of the first two; records come as (number, key,
    body), edits as bodies; `written` is in microseconds since 1970.
    """

    whose: tuple[str, str, str]
    owner: str
    version: int
    records: tuple[tuple[int, str, str], ...]
    edits: tuple[str, ...]
    times: list[str]
    token: int
    written: int

    def __call__(self, run: Run) -> int:
        """The new version. Raises Conflict where the session is at another than it should be."""
        size = len(self.records) + len(self.edits)
        run(_TICKS, (size, self.owner))
        if not (rows := run(_STATE, (*self.whose, self.owner))):
            run(OWNER, (self.owner, size))
            rows = run(_STATE, (*self.whose, self.owner))
        owner, ticks, session, *state = rows[0]
        version, records, edits, first, last = (0, 0, 0, "", "") if session is None else state
        if version != self.version:
            return self._done(run, session, version) if self.version < version else self._refuse(version)
        if not size:
            return self.version
        self._check(records)
        first, last = first or next(iter(self.times), ""), self.times[-1] if self.times else last
        after = (ticks, records + len(self.records), edits + len(self.edits), named(first), named(last))
        if session is not None:
            run(
                "UPDATE memory_sessions SET version = ?, records = ?, edits = ?, first = ?, last = ?,"
                " written = ? WHERE id = ?",
                (*after, self.written, session),
            )
        else:
            ((session,),) = run(
                'INSERT INTO memory_sessions (owner_id, tenant, "user", session, version, records, edits,'
                " first, last, written) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                (owner, *self.whose, *after, self.written),
            )
        self._append(run, session, ticks - size + 1)
        return int(ticks)

    def _check(self, held: int) -> None:
        """BadInput where the numbers do not go on from those that the session has."""
        numbers = [number for number, _, _ in self.records]
        if numbers != list(range(held + 1, held + 1 + len(numbers))):
            raise BadInput(
                f"session {self.whose[2]!r} has {held} records: number the next from {held + 1} on, "
                f"without gaps, not {numbers[:5]}"
            )

    def _append(self, run: Run, session: int, tick: int) -> None:
        """The rows, with the ticks from `tick` on."""
        mine = (self.version, self.token)
        if self.records:
            run.many(
                "INSERT INTO memory_records (session_id, tick, base, token, key, body)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (session, tick + place, *mine, key, text)
                    for place, (_, key, text) in enumerate(self.records)
                ],
            )
        if self.edits:
            first = tick + len(self.records)
            run.many(
                "INSERT INTO memory_edits (session_id, tick, base, token, body) VALUES (?, ?, ?, ?, ?)",
                [(session, first + place, *mine, text) for place, text in enumerate(self.edits)],
            )

    def _done(self, run: Run, session: int, version: int) -> int:
        """The version that this very write led to, where it was made before; Conflict where it was not."""
        records, edits = (
            run(
                f"SELECT body, token, tick FROM {table} WHERE session_id = ? AND base = ? ORDER BY tick",  # noqa: S608
                (session, self.version),
            )
            for table in ("memory_records", "memory_edits")
        )
        same = [row[0] for row in records] == [row[2] for row in self.records]
        same = same and [row[0] for row in edits] == list(self.edits) and bool(records or edits)
        mine = all(row[1] == self.token for row in (*records, *edits))
        if not same or not (mine or all(key for _, key, _ in self.records)):
            self._refuse(version)
        return max(int(row[2]) for row in (*records, *edits))

    def _refuse(self, version: int) -> NoReturn:
        raise NotAt(
            f"session {self.whose[2]!r} is at version {version}, not {self.version}: "
            "somebody else wrote to it; load it again"
        )
