"""Two LangGraph graphs behind four verbs: invoke, stream, resume, feedback. Read fourth."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from langgraph.types import Command

from ctxeng.errors import BadInput, UnknownTurn
from ctxeng.learn import Learned, Learning
from ctxeng.learn_run import LearnRuns, feedback_given
from ctxeng.preferences import UserPreferences
from ctxeng.protocols import Event
from ctxeng.record import Turns
from ctxeng.steps import REMOVABLE, Steps
from ctxeng.storage.bodies import Bodies
from ctxeng.turn import Ask, Request, Scope, Turn, Want
from ctxeng.turn_graph import TurnState
from ctxeng.turn_run import Start, TurnRuns

_STREAMED = ["custom", "updates", "values"]
Cancel = Callable[[], bool]


@dataclass(frozen=True)
class Orchestrator:
    """Assembles windows, runs turns and learns from feedback.

    `log` keeps finished turns, `learning` is what feedback feeds; without it, feedback is an error.
    A `checkpointer` (LangGraph's) makes turns resumable and approvals possible across processes. Edits of
    answers teach `preferences`, where the turn has a user. `without` removes nodes. Close it, or use it as a
    context manager: that commits the playbook and calls what is in `closing`.

    A turn's `parent` is the id of the turn before it: what that one showed is preferred, so that the
    prompt's beginning stays the same and the provider's cache holds. Turns of one `scope.session` in one
    process find their parent by themselves.
    """

    steps: Steps
    log: Turns
    learning: Learning | None = None
    checkpointer: Any = None
    bodies: Bodies = field(default_factory=Bodies)
    without: frozenset[str] = frozenset()
    closing: Sequence[Callable[[], None]] = ()
    preferences: UserPreferences | None = None
    _runs: TurnRuns = field(init=False, repr=False, compare=False)
    _lessons: list[LearnRuns] = field(default_factory=list, init=False, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        unknown = self.without - set(REMOVABLE)
        if unknown:
            raise BadInput(
                f"cannot remove node {', '.join(sorted(unknown))}; removable: {', '.join(REMOVABLE)}"
            )
        runs = TurnRuns(self.steps, self.log, self.bodies, self.without, self._versions, self.checkpointer)
        object.__setattr__(self, "_runs", runs)

    def invoke(
        self,
        request: Request | str,
        *,
        want: Want | None = None,
        ask: Ask | None = None,
        turn_id: str = "",
        parent: str = "",
        cancelled: Cancel | None = None,
    ) -> Turn:
        """One turn, finished. Raises ModelError, WindowTooSmall, ApprovalNeeded; a failed turn is logged."""
        start = self._runs.start(request, want, ask, turn_id, parent, cancelled)
        with self._runs.running(start) as config:
            state = self._runs.graph("sync").invoke(start.state, config)
        return self._runs.finished(state)

    async def ainvoke(
        self,
        request: Request | str,
        *,
        want: Want | None = None,
        ask: Ask | None = None,
        turn_id: str = "",
        parent: str = "",
        cancelled: Cancel | None = None,
    ) -> Turn:
        """The same, awaited; cancelling the task cancels the model's call."""
        start = self._runs.start(request, want, ask, turn_id, parent, cancelled)
        with self._runs.running(start) as config:
            state = await self._runs.graph("async").ainvoke(start.state, config)
        return self._runs.finished(state)

    def stream(
        self,
        request: Request | str,
        *,
        want: Want | None = None,
        ask: Ask | None = None,
        turn_id: str = "",
        parent: str = "",
        cancelled: Cancel | None = None,
    ) -> Iterator[Event | Turn]:
        """Events as they happen (text, thinking, call, usage, node), and the finished turn last."""
        start = self._runs.start(request, want, ask, turn_id, parent, cancelled)
        state: Mapping[str, Any] = start.state
        with self._runs.running(start) as config:
            for mode, item in self._runs.graph("sync").stream(start.state, config, stream_mode=_STREAMED):
                if mode == "values":
                    state = item
                else:
                    yield from _events(mode, item)
        yield self._runs.finished(state)

    async def astream(
        self,
        request: Request | str,
        *,
        want: Want | None = None,
        ask: Ask | None = None,
        turn_id: str = "",
        parent: str = "",
        cancelled: Cancel | None = None,
    ) -> AsyncIterator[Event | Turn]:
        """The same, awaited. Leaving it early, or cancelling it, cancels the model's call."""
        start = self._runs.start(request, want, ask, turn_id, parent, cancelled)
        items: asyncio.Queue[Event | Turn | None] = asyncio.Queue()
        # a task of its own: a web server's cancel scope would interrupt LangGraph's own clean-up
        running = asyncio.create_task(self._feed(start, items))
        running.add_done_callback(lambda _: items.put_nowait(None))
        try:
            while (item := await items.get()) is not None:
                yield item
            await running
        finally:
            running.cancel()

    async def _feed(self, start: Start, items: asyncio.Queue[Event | Turn | None]) -> None:
        state: Mapping[str, Any] = start.state
        graph = self._runs.graph("async")
        with self._runs.running(start) as config:
            async for mode, item in graph.astream(start.state, config, stream_mode=_STREAMED):
                if mode == "values":
                    state = item
                else:
                    for event in _events(mode, item):
                        items.put_nowait(event)
        items.put_nowait(self._runs.finished(state))

    def resume(self, turn_id: str, decisions: Mapping[str, bool | str] | None = None) -> Turn:
        """Go on with a turn that was interrupted: by a crash, or by calls that wait for approval.

        `decisions` maps a call's id to True, or to the reason it was refused for; calls it does not name
        go on waiting (ApprovalNeeded). Raises UnknownTurn.
        """
        if self.checkpointer is None:
            raise BadInput("resuming a turn needs a checkpointer")
        config, graph = self._runs.config(turn_id), self._runs.graph("sync")
        held = graph.get_state(config)
        if not held.values:
            raise UnknownTurn(f"no unfinished turn {turn_id!r} in this checkpointer")
        pauses = [pause for task in held.tasks for pause in task.interrupts]
        decided = decisions or {}
        waiting = {p.id: decided[p.value["call"]["id"]] for p in pauses if p.value["call"]["id"] in decided}
        state = graph.invoke(Command(resume=waiting) if waiting else None, config)
        return self._runs.finished(state)

    def feedback(
        self,
        turn_id: str,
        *,
        truth: Any = None,
        score: float | None = None,
        edit: str | None = None,
        evidence: str = "",
        comment: str = "",
        scope: Scope | None = None,
    ) -> Learned:
        """Learn from a turn, now or days later: a truth, an observed score (0 to 1), a comment, an edit.

        `edit` is what the user made of the answer; its score is computed. With a `scope`, only a turn of
        that scope. Raises UnknownTurn, BadInput where more than one of truth, score and edit is given, and
        ApprovalNeeded where `approve: human` waits for `approve(turn_id, ...)`.
        """
        if scope is not None and self.log.get(turn_id).request.scope != scope:
            raise UnknownTurn(f"no turn {turn_id!r} in this scope")
        if edit is not None:
            if truth is not None or score is not None or evidence or comment:
                raise BadInput("give an edit alone: what it scores is computed from it")
            turn = self.log.get(turn_id)
            if self.preferences is not None and turn.request.scope.user:
                return self.preferences.edited(turn, edit)
            return self._learns().edited(turn_id, edit)
        return self._learns().feedback(turn_id, *feedback_given(truth, score, evidence, comment))

    def approve(self, turn_id: str, *, decision: bool | list[int] = True) -> Learned:
        """Accept what a turn taught (True), some of its deltas (their indices), or none of them (False)."""
        return self._learns().approve(turn_id, decision=decision)

    @property
    def graph(self) -> Any:
        """The turn graph for use inside your own: input `start(...)`, output read by `turn_of(...)`."""
        return self._runs.graph("both")

    def start(self, request: Request | str, *, want: Want | None = None, ask: Ask | None = None) -> TurnState:
        """The state to put into `graph`."""
        return self._runs.start(request, want, ask).state

    def turn_of(self, state: Mapping[str, Any]) -> Turn:
        """The finished turn in a state that came out of `graph`."""
        return self._runs.finished(state)

    def close(self) -> None:
        """Commit the playbook's YAML, and let go of tool servers."""
        if self.learning is not None:
            self.learning.store.close()
        for close in self.closing:
            close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _learns(self) -> LearnRuns:
        if self.learning is None:
            raise BadInput("this orchestrator does not learn: its settings name no playbook")
        with self._lock:
            if not self._lessons:
                self._lessons.append(LearnRuns(self.learning, self.log, self.checkpointer))
            return self._lessons[0]

    def _versions(self) -> tuple[str, ...]:
        if self.learning is None:
            return ()
        playbook = self.learning.store.playbook
        return (f"{playbook.name}@{playbook.version}",)


def _events(mode: str, item: Any) -> Iterator[Event]:
    if mode == "custom":
        yield item
    else:
        yield from (Event(type="node", node=name) for name in item if name != "__interrupt__")
