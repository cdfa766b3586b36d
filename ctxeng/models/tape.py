"""The file of a cassette: one recorded exchange a line, appended whole; torn lines are left out."""

from __future__ import annotations

import json
import logging
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ctxeng.errors import BadInput
from ctxeng.protocols import Event, Layout
from ctxeng.turn import Answer, Value

logger = logging.getLogger(__name__)


class Exchange(Value):
    """One request and what came of it, scrubbed of secrets; `key` is the request's hash."""

    key: str
    request: dict[str, Any]
    answer: Answer
    events: tuple[Event, ...] = ()
    window: int = 32_000
    layout: Layout = Layout()


@dataclass
class Tape:
    """The exchanges of a file, by key, in the order in which they were recorded."""

    path: Path
    _exchanges: dict[str, list[Exchange]] | None = field(default=None, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def at(self, key: str, index: int) -> Exchange | None:
        """The exchange recorded at that position among those with this key."""
        found = self._loaded().get(key, [])
        return found[index] if index < len(found) else None

    def count(self, key: str) -> int:
        """How many exchanges have this key."""
        return len(self._loaded().get(key, []))

    def all(self) -> list[Exchange]:
        """Everything recorded."""
        return [exchange for same in self._loaded().values() for exchange in same]

    def append(self, exchange: Exchange) -> None:
        """Write it down: one line in one write, which several processes may do at once."""
        known = self._loaded()
        line = json.dumps(exchange.model_dump(mode="json"), ensure_ascii=True) + "\n"
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab+", buffering=0) as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
                torn = file.read(1) not in {b"", b"\n"}  # by a process that died while it wrote
                file.write(("\n" if torn else "").encode() + line.encode())
            known.setdefault(exchange.key, []).append(exchange)

    def _loaded(self) -> dict[str, list[Exchange]]:
        with self._lock:
            if self._exchanges is None:
                self._exchanges = self._read()
            return self._exchanges

    def _read(self) -> dict[str, list[Exchange]]:
        found: dict[str, list[Exchange]] = {}
        try:
            lines = self.path.read_bytes().splitlines() if self.path.exists() else []
        except OSError as error:
            raise BadInput(f"{self.path}: cannot be read: {error.strerror}") from error
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                exchange = Exchange.model_validate_json(line)
            except ValidationError as error:
                logger.warning("%s line %d is no exchange and left out: %s", self.path, number, error)
                continue
            found.setdefault(exchange.key, []).append(exchange)
        return found
