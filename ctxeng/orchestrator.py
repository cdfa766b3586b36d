"""Two LangGraph graphs behind four verbs: invoke, stream, resume, feedback. Read fourth."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self
from uuid import uuid4

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from ctxeng.errors import ApprovalNeeded, BadInput, CtxengError, UnknownTurn
from ctxeng.learn import Learned, Learning
from ctxeng.learn_graph import FEEDBACK, LearnGraph, learned
from ctxeng.protocols import Event
from ctxeng.record import Turns
from ctxeng.steps import REMOVABLE, Steps
from ctxeng.storage.bodies import Bodies
from ctxeng.turn import Ask, Feedback, FreeText, Observed, Request, Scope, Truth, Turn, Unlabelled, Want, user
from ctxeng.turn_graph import Leaf, TurnGraph, TurnState

_STREAMED = ["custom", "updates", "values"]


@dataclass(frozen=True)
class Orchestrator:
    """Assembles windows, runs turns and learns from feedback.

    `log` keeps finished turns, `learning` is what feedback feeds; without it, feedback is an error.
    A `checkpointer` (LangGraph's) makes turns resumable and approvals possible across processes.
    `without` removes nodes. Close it, or use it as a context manager: that commits the playbook.
    """

    steps: Steps
    log: Turns
    learning: Learning | None = None
    checkpointer: Any = None
    bodies: Bodies = field(default_factory=Bodies)
    without: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        unknown = self.without - set(REMOVABLE)
        if unknown:
            raise BadInput(
                f"cannot remove node {', '.join(sorted(unknown))}; removable: {', '.join(REMOVABLE)}"
            )

    def invoke(
        self,
        request: Request | str,
        *,
        want: Want | None = None,
        ask: Ask | None = None,
        turn_id: str = "",
        cancelled: Callable[[], bool] | None = None,
    ) -> Turn:
        """One turn, finished. Raises ModelError, WindowTooSmall, ApprovalNeeded; a failed turn is logged."""
        start = self._start(request, want, ask, turn_id)
        with self._running(start, cancelled) as config:
            state = self._graph("sync").invoke(start, config)
        return self._finished(state)

    async def ainvoke(
        self,
        request: Request | str,
        *,
        want: Want | None = None,
        ask: Ask | None = None,
        turn_id: str = "",
        cancelled: Callable[[], bool] | None = None,
    ) -> Turn:
        """The same, awaited; cancelling the task cancels the model's call."""
        start = self._start(request, want, ask, turn_id)
        with self._running(start, cancelled) as config:
            state = await self._graph("async").ainvoke(start, config)
        return self._finished(state)

    def stream(
        self, request: Request | str, *, want: Want | None = None, ask: Ask | None = None
    ) -> Iterator[Event | Turn]:
        """Events as they happen (text, thinking, call, usage, node), and the finished turn last."""
        start = self._start(request, want, ask, "")
        state: Mapping[str, Any] = start
        with self._running(start) as config:
            for mode, item in self._graph("sync").stream(start, config, stream_mode=_STREAMED):
                if mode == "values":
                    state = item
                else:
                    yield from _events(mode, item)
        yield self._finished(state)

    async def astream(
        self, request: Request | str, *, want: Want | None = None, ask: Ask | None = None
    ) -> AsyncIterator[Event | Turn]:
        """The same, awaited. Leaving it early, or cancelling it, cancels the model's call."""
        start = self._start(request, want, ask, "")
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

    async def _feed(self, start: TurnState, items: asyncio.Queue[Event | Turn | None]) -> None:
        state: Mapping[str, Any] = start
        with self._running(start) as config:
            async for mode, item in self._graph("async").astream(start, config, stream_mode=_STREAMED):
                if mode == "values":
                    state = item
                else:
                    for event in _events(mode, item):
                        items.put_nowait(event)
        items.put_nowait(self._finished(state))

    def resume(self, turn_id: str, decisions: Mapping[str, bool | str] | None = None) -> Turn:
        """Go on with a turn that was interrupted: by a crash, or by calls that wait for approval.

        `decisions` maps a call's id to True, or to the reason it was refused for; calls it does not name
        go on waiting (ApprovalNeeded). Raises UnknownTurn.
        """
        if self.checkpointer is None:
            raise BadInput("resuming a turn needs a checkpointer")
        config = self._config(turn_id)
        held = self._graph("sync").get_state(config)
        if not held.values:
            raise UnknownTurn(f"no unfinished turn {turn_id!r} in this checkpointer")
        pauses = [pause for task in held.tasks for pause in task.interrupts]
        decided = decisions or {}
        waiting = {p.id: decided[p.value["call"]["id"]] for p in pauses if p.value["call"]["id"] in decided}
        state = self._graph("sync").invoke(Command(resume=waiting) if waiting else None, config)
        return self._finished(state)

    def feedback(
        self,
        turn_id: str,
        *,
        truth: Any = None,
        score: float | None = None,
        evidence: str = "",
        comment: str = "",
        scope: Scope | None = None,
    ) -> Learned:
        """Learn from a turn, now or days later: a truth, an observed score from 0 to 1, or a comment.

        With a `scope`, only a turn of that scope. Raises UnknownTurn, and ApprovalNeeded where
        `approve: human` waits for `approve(turn_id, ...)`.
        """
        if scope is not None and self.log.get(turn_id).request.scope != scope:
            raise UnknownTurn(f"no turn {turn_id!r} in this scope")
        given: Feedback | None = None
        if score is not None and not 0 <= score <= 1:
            raise BadInput(f"a score is between 0 and 1, not {score}")
        if score is not None:
            given = Observed(score=score, evidence=evidence)
        elif truth is None:
            given = Unlabelled(comment=comment)
        start = {
            "turn": turn_id,
            "truth": Truth(target=truth).model_dump(mode="json") if truth is not None else None,
            "feedback": FEEDBACK.dump_python(given, mode="json") if given else None,
        }
        return self._learned(turn_id, start)

    def approve(self, turn_id: str, *, decision: bool | list[int] = True) -> Learned:
        """Accept what a turn taught (True), some of its deltas (their indices), or none of them (False)."""
        if not self._learn_graph.get_state({"configurable": {"thread_id": f"learn:{turn_id}"}}).values:
            raise UnknownTurn(f"nothing that turn {turn_id!r} taught waits for approval")
        return self._learned(turn_id, Command(resume=decision))

    @cached_property
    def graph(self) -> Any:
        """The turn graph for use inside your own: input `start(...)`, output read by `turn_of(...)`."""
        return self._turns.compile("both")

    def start(self, request: Request | str, *, want: Want | None = None, ask: Ask | None = None) -> TurnState:
        """The state to put into `graph`."""
        return self._start(request, want, ask, "")

    def turn_of(self, state: Mapping[str, Any]) -> Turn:
        """The finished turn in a state that came out of `graph`."""
        return self._turns.finished(state)

    def close(self) -> None:
        """Commit the playbook's YAML."""
        if self.learning is not None:
            self.learning.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def _turns(self) -> TurnGraph:
        return TurnGraph(self.steps, self.bodies, self.without, self._versions)

    @cached_property
    def _compiled(self) -> dict[Leaf, Any]:
        return {}

    @cached_property
    def _compiling(self) -> threading.Lock:
        return threading.Lock()

    @cached_property
    def _learn_graph(self) -> Any:
        if self.learning is None:
            raise BadInput("this orchestrator does not learn: its settings name no playbook")
        return LearnGraph(self.learning, self.log).compile(self._learn_saver)

    @cached_property
    def _learn_saver(self) -> Any:
        return self.checkpointer or InMemorySaver()

    def _graph(self, leaf: Leaf) -> Any:
        with self._compiling:
            if leaf not in self._compiled:
                self._compiled[leaf] = self._turns.compile(leaf, self.checkpointer)
            return self._compiled[leaf]

    def _versions(self) -> tuple[str, ...]:
        if self.learning is None:
            return ()
        playbook = self.learning.store.playbook
        return (f"{playbook.name}@{playbook.version}",)

    def _start(self, request: Request | str, want: Want | None, ask: Ask | None, turn_id: str) -> TurnState:
        request = Request(query=user(request)) if isinstance(request, str) else request
        if ask is None:
            ask = Ask(max_tokens=self.steps.budget.reply, want=want or FreeText())
        elif want is not None:
            ask = ask.model_copy(update={"want": want})
        return self._turns.start(turn_id or uuid4().hex[:16], request, ask)

    @contextmanager
    def _running(
        self, start: TurnState, cancelled: Callable[[], bool] | None = None
    ) -> Iterator[dict[str, Any]]:
        """The graph's config for a turn; a failure is logged, the means to cancel it are forgotten."""
        turn = start["given"]["turn"]
        self._turns.latest[turn] = start["progress"]
        if cancelled is not None:
            self._turns.cancels[turn] = cancelled
        try:
            yield self._config(turn)
        except CtxengError as error:
            self._failed(start, error)
            raise
        finally:
            self._turns.cancels.pop(turn, None)
            self._turns.latest.pop(turn, None)

    def _config(self, turn: str) -> dict[str, Any]:
        config: dict[str, Any] = {"recursion_limit": 10 + 4 * self.steps.max_steps}
        if self.checkpointer is not None:
            # a thread per turn: its checkpoints grow with the turn, never with those before it
            config["configurable"] = {"thread_id": turn}
        return config

    def _finished(self, state: Mapping[str, Any]) -> Turn:
        pauses = state.get("__interrupt__", ())
        if pauses:
            raise ApprovalNeeded(
                state["given"]["turn"], {p.value["call"]["id"]: p.value["call"] for p in pauses}
            )
        return self._turns.finished(state)

    def _failed(self, start: TurnState, error: CtxengError) -> None:
        """Log how far the turn came: what was billed and done stays known."""
        progress = {**self._turns.latest[start["given"]["turn"]], "pending": ""}
        turn = self._turns.finished({**start, "progress": progress})
        turn = turn.model_copy(update={"error": f"{type(error).__name__}: {error}"})
        for observer in self.steps.observers:
            observer.observe(turn)

    def _learned(self, turn_id: str, given: Any) -> Learned:
        state = self._learn_graph.invoke(given, {"configurable": {"thread_id": f"learn:{turn_id}"}})
        pauses = state.get("__interrupt__", ())
        if pauses:
            raise ApprovalNeeded(turn_id, {"deltas": pauses[0].value["deltas"]})
        if self.checkpointer is None:
            self._learn_saver.delete_thread(f"learn:{turn_id}")  # done; memory is not to grow with feedback
        return learned(state)


def _events(mode: str, item: Any) -> Iterator[Event]:
    if mode == "custom":
        yield item
    else:
        yield from (Event(type="node", node=name) for name in item if name != "__interrupt__")
