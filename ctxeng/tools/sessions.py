"""What tools remember between turns: each session's working set, and each tenant's priors."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from ctxeng.retrieval.embed import TextEncoder
from ctxeng.tools.priors import Priors, Used
from ctxeng.tools.working import Working
from ctxeng.turn import Scope

_SESSIONS = 1_000  # that are remembered in this process


@dataclass
class Sessions:
    """Working sets by scope and priors by tenant, in memory; the turn log is what outlives the process.

    Turns without a session in their scope start from nothing each time, and teach priors all the same.
    """

    encoder: TextEncoder | None = None
    _working: OrderedDict[Scope, Working] = field(default_factory=OrderedDict, init=False, repr=False)
    _seen: dict[Scope, str] = field(default_factory=dict, init=False, repr=False)  # the last turn's id
    _priors: dict[str, Priors] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def working(self, scope: Scope) -> Working:
        """The session's working set at the start of its next turn."""
        with self._lock:
            return self._working.get(scope, Working(turn=1))

    def priors(self, tenant: str) -> Priors:
        """What this tenant's turns have taught."""
        with self._lock:
            return self._priors.setdefault(tenant, Priors(self.encoder))

    def note(self, scope: Scope, turn: str, after: Working, used: Used | None) -> None:
        """Take note of a finished turn: the set as it left it, and what it teaches. Idempotent by turn."""
        if used is not None:
            self.priors(scope.tenant).learn([used])
        with self._lock:
            if not scope.session or self._seen.get(scope) == turn:
                return
            self._seen[scope] = turn
            self._working[scope] = after.next_turn()
            self._working.move_to_end(scope)
            while len(self._working) > _SESSIONS:
                gone, _ = self._working.popitem(last=False)
                self._seen.pop(gone, None)

    def forget(self, tenant: str) -> None:
        """Let go of all that a tenant's turns have left here."""
        with self._lock:
            self._priors.pop(tenant, None)
            for scope in [scope for scope in self._working if scope.tenant == tenant]:
                del self._working[scope]
                self._seen.pop(scope, None)
