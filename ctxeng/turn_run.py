"""Running turns: how one starts, what it inherits from the turn before, and what is logged when it fails."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from ctxeng.errors import ApprovalNeeded, UnknownTurn
from ctxeng.record import Turns
from ctxeng.steps import Steps
from ctxeng.storage.bodies import Bodies
from ctxeng.text.schemas import checked
from ctxeng.turn import Ask, FreeText, Request, Schema, Scope, Turn, Want, user
from ctxeng.turn_graph import Leaf, TurnGraph, TurnState

_SESSIONS = 1_000  # of which the last turn is remembered in this process
Shown = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Start:
    """What a graph is started with: the state, and the means to cancel, which never enters a state."""

    state: TurnState
    cancelled: Callable[[], bool] | None = None

    @property
    def turn(self) -> str:
        """The turn's id."""
        return str(self.state["given"]["turn"])


@dataclass(frozen=True)
class TurnRuns:
    """Starts, follows and finishes the turns of one orchestrator."""

    steps: Steps
    log: Turns
    bodies: Bodies
    without: frozenset[str]
    versions: Callable[[], tuple[str, ...]]
    checkpointer: Any = None
    graphs: TurnGraph = field(init=False, repr=False, compare=False)
    _compiled: dict[Leaf, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    _sessions: OrderedDict[Scope, Shown] = field(
        default_factory=OrderedDict, init=False, repr=False, compare=False
    )
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        graphs = TurnGraph(self.steps, self.bodies, self.without, self.versions)
        object.__setattr__(self, "graphs", graphs)

    def graph(self, leaf: Leaf) -> Any:
        """The compiled graph, compiled once."""
        with self._lock:
            if leaf not in self._compiled:
                self._compiled[leaf] = self.graphs.compile(leaf, self.checkpointer)
            return self._compiled[leaf]

    def start(
        self,
        request: Request | str,
        want: Want | None,
        ask: Ask | None,
        turn_id: str = "",
        parent: str = "",
        cancelled: Callable[[], bool] | None = None,
    ) -> Start:
        """Where a turn begins. Raises BadInput for a schema that is none.

        Raises UnknownTurn for a parent that is not there, or of another scope.
        """
        request = Request(query=user(request)) if isinstance(request, str) else request
        if ask is None:
            ask = Ask(max_tokens=self.steps.budget.reply, want=want or FreeText())
        elif want is not None:
            ask = ask.model_copy(update={"want": want})
        if isinstance(ask.want, Schema):
            checked(ask.want.json_schema)
        shown = self._shown_before(request.scope, parent)
        if shown and not request.shown:
            request = request.model_copy(update={"shown": shown})
        state = self.graphs.start(turn_id or uuid4().hex[:16], request, ask, parent=parent)
        return Start(state, cancelled or ask.cancelled)

    @contextmanager
    def running(self, start: Start) -> Iterator[dict[str, Any]]:
        """The graph's config for a turn; whatever ends it early leaves a line in the log."""
        turn = start.turn
        self.graphs.latest[turn] = start.state["progress"]
        if start.cancelled is not None:
            self.graphs.cancels[turn] = start.cancelled
        try:
            yield self.config(turn)
        except BaseException as error:
            self._failed(start.state, error)
            raise
        finally:
            self.graphs.cancels.pop(turn, None)
            self.graphs.latest.pop(turn, None)

    def config(self, turn: str) -> dict[str, Any]:
        """LangGraph's config: a thread per turn, so that its checkpoints grow with it alone."""
        config: dict[str, Any] = {"recursion_limit": 10 + 4 * self.steps.max_steps}
        if self.checkpointer is not None:
            config["configurable"] = {"thread_id": turn}
        return config

    def finished(self, state: Mapping[str, Any]) -> Turn:
        """The finished turn. Raises ApprovalNeeded where it waits for a person."""
        pauses = state.get("__interrupt__", ())
        if pauses:
            raise ApprovalNeeded(
                state["given"]["turn"], {p.value["call"]["id"]: p.value["call"] for p in pauses}
            )
        turn = self.graphs.finished(state)
        if turn.request.scope.session:
            with self._lock:
                self._sessions[turn.request.scope] = turn.shown
                self._sessions.move_to_end(turn.request.scope)
                while len(self._sessions) > _SESSIONS:
                    self._sessions.popitem(last=False)
        return turn

    def _shown_before(self, scope: Scope, parent: str) -> Shown:
        """What the turn before showed: the named parent, else the session's last turn in this process."""
        if not parent:
            return self._sessions.get(scope, {}) if scope.session else {}
        turn = self.log.get(parent)
        if turn.request.scope != scope:
            raise UnknownTurn(f"no turn {parent!r} in this scope")
        return turn.shown

    def _failed(self, state: TurnState, error: BaseException) -> None:
        """Log how far the turn came: what was billed and done stays known."""
        progress = {**self.graphs.latest[state["given"]["turn"]], "pending": ""}
        turn = self.graphs.finished({**state, "progress": progress})
        said = f"{type(error).__name__}: {error}".removesuffix(": ")
        turn = turn.model_copy(update={"error": said})
        self.steps.remember(turn)
