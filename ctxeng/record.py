"""Turns as JSON lines: append, read, replay."""

from __future__ import annotations

import json
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from ctxeng.errors import BadInput, UnknownTurn
from ctxeng.turn import Scope, Section, Turn

_OPENING = b'{"id":'


class Turns(Protocol):
    """Finished turns, to be found again by id."""

    def observe(self, turn: Turn) -> None:
        """Keep the turn, or its newer state."""
        ...

    def get(self, turn_id: str) -> Turn:
        """The turn of this id as last kept. Raises UnknownTurn."""
        ...


@dataclass(frozen=True)
class RecentTurns:
    """The last `count` turns, in memory: the log of those who keep none on disk."""

    count: int = 1_000
    _turns: OrderedDict[str, Turn] = field(default_factory=OrderedDict, init=False, repr=False, compare=False)

    def observe(self, turn: Turn) -> None:
        """Keep the turn; the oldest goes when there are more than `count`."""
        self._turns[turn.id] = turn
        while len(self._turns) > self.count:
            self._turns.popitem(last=False)

    def get(self, turn_id: str) -> Turn:
        """The turn of this id. Raises UnknownTurn."""
        if turn_id not in self._turns:
            raise UnknownTurn(f"no turn {turn_id!r} among the last {len(self._turns)}")
        return self._turns[turn_id]


@dataclass(frozen=True)
class TurnLog:
    """An append-only log of turns, and an Observer. The last line of an id is the one that counts."""

    path: Path
    _offsets: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False, compare=False)
    _read: list[int] = field(default_factory=lambda: [0], init=False, repr=False, compare=False)

    def observe(self, turn: Turn) -> None:
        """Append the turn, slimmed, in one write, so that processes cannot mix their lines."""
        line = slim(turn).model_dump_json().encode() + b"\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                size = os.fstat(handle).st_size
                if size and os.pread(handle, 1, size - 1) != b"\n":
                    line = b"\n" + line  # a power loss tore the last line; this one is not to go with it
                os.write(handle, line)
            finally:
                os.close(handle)

    def get(self, turn_id: str) -> Turn:
        """The turn of this id as last recorded. Raises UnknownTurn."""
        self._index()
        if turn_id not in self._offsets:
            raise UnknownTurn(f"no turn {turn_id!r} in {self.path}")
        with self.path.open("rb") as file:
            file.seek(self._offsets[turn_id])
            return _parse(self.path, 0, file.readline())

    def __iter__(self) -> Iterator[Turn]:
        """All turns, each once, as last recorded, in order of their first appearance."""
        self._index()
        if not self._offsets:
            return
        with self.path.open("rb") as file:
            for offset in self._offsets.values():
                file.seek(offset)
                yield _parse(self.path, 0, file.readline())

    def forget(self, scope: Scope) -> int:
        """Remove every turn of this scope from the file; how many there were. Empty fields match anything.

        Threads of this process may go on writing; no other process may.
        """
        wanted = {key: value for key, value in scope.model_dump().items() if value}
        with self._lock:
            turns = list(self)
            kept = [
                t
                for t in turns
                if not wanted or any(getattr(t.request.scope, k) != v for k, v in wanted.items())
            ]
            lines = b"".join(turn.model_dump_json().encode() + b"\n" for turn in kept)
            temporary = self.path.with_suffix(".tmp")
            temporary.touch(mode=0o600)
            temporary.write_bytes(lines)
            temporary.replace(self.path)
            self._offsets.clear()
            self._read[0] = 0
        return len(turns) - len(kept)

    def _index(self) -> None:
        """Note where each turn's last line starts; only what was appended since is read."""
        with self._lock:
            if not self.path.exists():
                return
            with self.path.open("rb") as file:
                file.seek(self._read[0])
                while line := file.readline():
                    if not line.endswith(b"\n"):
                        break  # a line that is still being written
                    if found := _turn_id(line):  # a torn line is nobody's
                        self._offsets[found] = self._read[0]
                    self._read[0] += len(line)


def slim(turn: Turn) -> Turn:
    """The turn without the playbook text it did not cite; `playbooks` and their journals have that.

    One section of each level of trust stays, so that what is learned from the turn later is trusted no more.
    """
    cited = set(turn.answer.cited if turn.answer else ())
    kept: list[Section] = []
    levels: set[str] = set()
    for section in turn.context.sections:
        if section.kind != "playbook" or section.ref in cited or section.trust not in levels:
            kept.append(section)
        if section.kind == "playbook":
            levels.add(section.trust)
    context = turn.context.model_copy(update={"sections": tuple(kept)})
    return turn.model_copy(update={"context": context})


def _turn_id(line: bytes) -> str:
    if not line.startswith(_OPENING) or not line.endswith(b"}\n"):
        return ""
    try:
        found, _ = json.JSONDecoder().raw_decode(line.decode(), len(_OPENING))
    except ValueError:
        return ""
    return str(found)


def _parse(path: Path, number: int, line: bytes) -> Turn:
    try:
        return Turn.model_validate_json(line)
    except ValidationError as error:
        where = f"{path}:{number}" if number else str(path)
        raise BadInput(f"{where}: not a turn: {error.errors()[0]['msg']}") from error
