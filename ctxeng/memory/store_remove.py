"""Removing sessions and facts for good, and telling what they said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ctxeng.errors import CtxengError, StoreLocked
from ctxeng.memory.store_rows import EDITS, FACTS, RECORDS, distinct, edit_texts, record_texts, values
from ctxeng.memory.store_schema import TABLES
from ctxeng.memory.stored import Forgotten
from ctxeng.storage.sql import Database, Run
from ctxeng.turn import Scope

_COLUMNS = {"tenant": "tenant", "user": '"user"', "session": "session"}  # user is a word of SQL


class NotErased(StoreLocked):
    """The rows are removed, their bytes are not all overwritten yet; `forgotten` is what was removed."""

    def __init__(self, reason: Exception, forgotten: Forgotten) -> None:
        super().__init__(
            f"removed, but the bytes are not all overwritten yet: {reason}; forget the same scope again"
        )
        self.forgotten = forgotten


def filtered(scope: Scope) -> tuple[str, tuple[str, ...]]:
    """The condition that the fields of this scope make, and its values; empty fields match anything."""
    wanted = {column: getattr(scope, name) for name, column in _COLUMNS.items() if getattr(scope, name)}
    return " AND ".join(f"{column} = ?" for column in wanted) or "1 = 1", tuple(wanted.values())


@dataclass
class Removal:
    """Removes the sessions that `where` matches, with all that belongs to them.

    Facts go where `where` matches them too; where `old`, only those whose source is a session that goes. Run
    again after a commit that was left unanswered, it still tells what its first run removed.
    """

    where: str
    wanted: tuple[Any, ...]
    old: bool = False
    _sessions: set[int] = field(default_factory=set, init=False)
    _records: dict[tuple[int, int], str] = field(default_factory=dict, init=False)
    _edits: dict[tuple[int, int], str] = field(default_factory=dict, init=False)
    _facts: dict[int, str] = field(default_factory=dict, init=False)

    def made(self, database: Database) -> Forgotten:
        """What was removed. Raises NotErased where the bytes could not be overwritten."""
        database.attempt(self._remove)
        forgotten = Forgotten(
            sessions=len(self._sessions),
            records=len(self._records),
            edits=len(self._edits),
            facts=len(self._facts),
            texts=distinct(self._texts()),
        )
        try:
            database.erase(TABLES)
        except CtxengError as error:
            raise NotErased(error, forgotten) from error
        return forgotten

    def _remove(self, run: Run) -> None:
        owners = {row[0] for table in self._tables() for row in self._matching(run, "owner_id", table)}
        for owner in sorted(owners):
            # locks the owner's row, so that nothing of theirs is written meanwhile
            run("UPDATE memory_owners SET generation = generation + 1 WHERE id = ?", (owner,))
            for key, session in self._matching(run, "id, session", "memory_sessions", owner):
                self._remove_session(run, key)
                if self.old and session:
                    self._remove_facts(run, "owner_id = ? AND session = ?", (owner, session))
            if not self.old:
                self._remove_facts(run, f"{self.where} AND owner_id = ?", (*self.wanted, owner))

    def _tables(self) -> tuple[str, ...]:
        return ("memory_sessions",) if self.old else ("memory_sessions", "memory_facts")

    def _matching(
        self, run: Run, columns: str, table: str, owner: int | None = None
    ) -> list[tuple[Any, ...]]:
        query = f"SELECT DISTINCT {columns} FROM {table} WHERE {self.where}"  # noqa: S608 - names of ours
        if owner is None:
            return run(query, self.wanted)
        return run(f"{query} AND owner_id = ?", (*self.wanted, owner))

    def _remove_session(self, run: Run, key: int) -> None:
        gone = run("DELETE FROM memory_records WHERE session_id = ? RETURNING tick, body", (key,))
        self._records.update({(key, tick): text for tick, text in gone})
        gone = run("DELETE FROM memory_edits WHERE session_id = ? RETURNING tick, body", (key,))
        self._edits.update({(key, tick): text for tick, text in gone})
        run("DELETE FROM memory_sessions WHERE id = ?", (key,))
        self._sessions.add(key)

    def _remove_facts(self, run: Run, where: str, wanted: tuple[Any, ...]) -> None:
        gone = run(f"DELETE FROM memory_facts WHERE {where} RETURNING id, body", wanted)  # noqa: S608
        self._facts.update(gone)

    def _texts(self) -> Iterator[str]:
        for record in values(RECORDS, _ordered(self._records)):
            yield from record_texts(record)
        for edit in values(EDITS, _ordered(self._edits)):
            yield from edit_texts(edit)
        for fact in values(FACTS, _ordered(self._facts)):
            yield fact.value


def _ordered(rows: dict[Any, str]) -> list[str]:
    return [rows[key] for key in sorted(rows)]
