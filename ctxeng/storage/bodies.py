"""Values too large for graph state, by reference: live in memory and, where wanted, on disk."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import uuid4

from ctxeng.storage.setaside import Texts
from ctxeng.turn import Value

V = TypeVar("V", bound=Value)
_LIVE = 4_096  # values held in memory; with a store behind them, older ones are read back


@dataclass(frozen=True)
class Bodies:
    """Frozen values by reference. Without a store they live as long as this process, named at random."""

    store: Texts | None = None
    _live: OrderedDict[str, Value] = field(default_factory=OrderedDict, init=False, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def put(self, value: Value) -> str:
        """The value's reference: its content hash where there is a store."""
        ref = self.store.put(value.model_dump_json()) if self.store else uuid4().hex
        self._keep(ref, value)
        return ref

    def get(self, ref: str, kind: type[V]) -> V:
        """The value of a reference. Raises KeyError where there is none."""
        with self._lock:
            live = self._live.get(ref)
        if isinstance(live, kind):
            return live
        if self.store is None:
            raise KeyError(ref)
        value = kind.model_validate_json(self.store.get(ref))
        self._keep(ref, value)
        return value

    def _keep(self, ref: str, value: Value) -> None:
        with self._lock:
            self._live[ref] = value
            self._live.move_to_end(ref)
            while len(self._live) > _LIVE:
                self._live.popitem(last=False)
