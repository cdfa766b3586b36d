"""One session, live: what is added is written first, what shrinks it is an edit that stays."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ctxeng.errors import Conflict
from ctxeng.memory.intake import taken_in
from ctxeng.memory.policy import Policy, Proposed
from ctxeng.memory.record import Edit, Record
from ctxeng.memory.stored import MemoryStore
from ctxeng.memory.view import Change, Price, View, folded
from ctxeng.message import Message
from ctxeng.turn import Scope, Usage

_TRIES = 20  # against other writers of the same session
_PAUSE = 0.01  # seconds at most between two tries
_EDITS = 100  # one check makes at most; a policy that never has enough is a fault of its own


def now() -> str:
    """The time, ISO 8601, UTC, by the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Done:
    """An edit that was made, what it did to the prompt, and what finding it cost."""

    edit: Edit
    change: Change
    usage: Usage = Usage()


@dataclass
class Session:
    """A session of a store as this process sees it. Safe with several threads; processes take turns.

    Two processes may write to one session: who comes second reads what the first wrote and writes behind
    it. An edit that was thought out meanwhile is made all the same unless another edit came in between.
    """

    store: MemoryStore
    scope: Scope
    price: Price
    policies: Sequence[Policy] = ()
    marked: bool = False
    clock: Callable[[], str] = now
    view: View = field(init=False)
    version: int = field(default=0, init=False)
    lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)
    _keys: set[str] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        self.refresh()

    def refresh(self) -> None:
        """Read the session anew, as it is kept."""
        with self.lock:
            held = self.store.load(self.scope)
            self.view = folded(held.records, held.edits, self.price, marked=self.marked)
            self.version = held.version
            self._keys = {record.key for record in held.records if record.key}

    def append(self, messages: Sequence[tuple[str, Message]]) -> list[Record]:
        """Take in (key, message) pairs; those whose key is known are left out. What is new is returned."""
        with self.lock:
            for _ in range(_TRIES):
                fresh = [(key, message) for key, message in messages if key not in self._keys]
                records = taken_in(fresh, len(self.view.records), self.clock())
                if not records:
                    return []
                try:
                    self.version = self.store.write(self.scope, records, (), self.version)
                except Conflict:
                    self._wait()
                    continue
                for record in records:
                    self.view.add(record)
                self._keys.update(record.key for record in records if record.key)
                return records
        raise Conflict(f"session {self.scope.session!r}: {_TRIES} others wrote first; try again later")

    def edit(self, edit: Edit) -> Change:
        """Make an edit and keep it. Raises Conflict where others edited the session meanwhile."""
        with self.lock:
            edit = edit.model_copy(update={"made": len(self.view.records), "time": self.clock()})
            for _ in range(_TRIES):
                try:
                    self.version = self.store.write(self.scope, (), (edit,), self.version)
                except Conflict:
                    edits = len(self.view.edits)
                    self._wait()
                    if len(self.view.edits) > edits:
                        raise
                    continue
                if edit.made == len(self.view.records):
                    return self.view.apply(edit)
                before = self.view.tokens  # others added meanwhile: the edit belongs before that
                self.refresh()
                return Change(0, self.view.tokens, before - self.view.tokens)
        raise Conflict(f"session {self.scope.session!r}: {_TRIES} others wrote first; try again later")

    def compact(self) -> list[Done]:
        """Make every edit that the policies want now, one after another."""
        done: list[Done] = []
        with self.lock:
            while len(done) < _EDITS and (proposed := self._proposed()) is not None:
                try:
                    done.append(Done(proposed.edit, self.edit(proposed.edit), proposed.usage))
                except Conflict:
                    continue  # somebody else edited: look again
        return done

    def _wait(self) -> None:
        """Let the others get through, and read what they wrote."""
        time.sleep(random.uniform(0, _PAUSE))  # noqa: S311 - no secret
        self.refresh()

    def _proposed(self) -> Proposed | None:
        for policy in self.policies:
            if (proposed := policy.propose(self.view)) is not None:
                return proposed
        return None
