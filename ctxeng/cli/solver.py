"""Answers tasks for the trainer: a task that fails is a failed turn, an outage stops the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ctxeng.errors import CtxengError, ModelError, WindowTooSmall
from ctxeng.orchestrator import Orchestrator
from ctxeng.protocols import Judge
from ctxeng.turn import Ask, Labelled, Request, Task, Turn, Want

_OUTAGE = 10  # tasks in a row that fail before the run stops: it can be resumed when the model is back
_ADVICE = "Advice for this attempt:\n"


@dataclass
class Solver:
    """What a Trainer calls `solve`, and ACE `retry`. `on_answer` hears of each task of the stream."""

    orchestrator: Orchestrator
    judge: Judge
    stream: Sequence[Task] = ()
    on_answer: Callable[[], None] | None = None
    prefix: str = ""
    failed: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._stream = {id(task) for task in self.stream}

    def solve(self, task: Task, turn_id: str) -> Turn:
        """The task's turn. Raises what would fail every task alike: a missing key, extra or file."""
        turn = self._answered(task.request, task.want, self.prefix + turn_id)
        if self.on_answer is not None and id(task) in self._stream:
            self.on_answer()
        return turn

    def retry(self, turn: Turn, advice: str) -> Turn:
        """The same request again with advice behind its system text, judged."""
        system = "\n\n".join(text for text in (turn.request.system, _ADVICE + advice) if text)
        request = turn.request.model_copy(update={"system": system})
        attempt = turn.attempt + 1
        again = self._answered(request, turn.ask.want, f"{turn.id.partition('-')[0]}-{attempt}")
        truth = turn.feedback.truth if isinstance(turn.feedback, Labelled) else None
        feedback = self.judge.judge(again, truth)
        return again.model_copy(update={"attempt": attempt, "parent": turn.id, "feedback": feedback})

    def _answered(self, request: Request, want: Want, turn_id: str) -> Turn:
        try:
            turn = self.orchestrator.invoke(request, want=want, turn_id=turn_id)
        except (ModelError, WindowTooSmall) as error:
            self.failed += 1
            if self.failed >= _OUTAGE:
                raise Outage(f"{self.failed} tasks in a row failed, the last with: {error}") from error
            named = f"{type(error).__name__}: {error}"
            return Turn(id=turn_id, request=request, ask=Ask(want=want), error=named)
        self.failed = 0
        return turn


class Outage(CtxengError):
    """So many tasks in a row failed that the run stops; what was done is kept."""
