"""Running the learn graph: feedback comes in, an approval may be waited for, what was learned comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from ctxeng.errors import ApprovalNeeded, BadInput, UnknownTurn
from ctxeng.learn import Learned, Learning
from ctxeng.learn_graph import FEEDBACK, LearnGraph, learned
from ctxeng.record import Turns
from ctxeng.turn import Edited, Feedback, Observed, Truth, Unlabelled


@dataclass(frozen=True)
class LearnRuns:
    """The learn graph on a thread per turn; without a checkpointer a finished thread is forgotten."""

    learning: Learning
    log: Turns
    checkpointer: Any = None
    _saver: Any = field(init=False, repr=False, compare=False)
    _graph: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        saver = self.checkpointer or InMemorySaver()
        object.__setattr__(self, "_saver", saver)
        object.__setattr__(self, "_graph", LearnGraph(self.learning, self.log).compile(saver))

    def feedback(self, turn_id: str, truth: Truth | None, given: Feedback | None) -> Learned:
        """What a turn's truth, or feedback already made, teaches. Raises UnknownTurn, ApprovalNeeded."""
        start = {
            "turn": turn_id,
            "truth": truth.model_dump(mode="json") if truth else None,
            "feedback": FEEDBACK.dump_python(given, mode="json") if given else None,
        }
        return self._learned(turn_id, start)

    def edited(self, turn_id: str, text: str) -> Learned:
        """What the user's edit of the answer teaches. Raises UnknownTurn, ApprovalNeeded.

        BadInput where the turn has no answer that could have been edited.
        """
        answer = self.log.get(turn_id).answer
        if answer is None:
            raise BadInput(f"turn {turn_id!r} ended without an answer: there was nothing to edit")
        return self.feedback(turn_id, None, Edited.of(answer.text, text))

    def approve(self, turn_id: str, *, decision: bool | list[int]) -> Learned:
        """Go on with deltas that wait for a person. Raises UnknownTurn."""
        if not self._graph.get_state(_thread(turn_id)).values:
            raise UnknownTurn(f"nothing that turn {turn_id!r} taught waits for approval")
        return self._learned(turn_id, Command(resume=decision))

    def _learned(self, turn_id: str, given: Any) -> Learned:
        state = self._graph.invoke(given, _thread(turn_id))
        pauses = state.get("__interrupt__", ())
        if pauses:
            raise ApprovalNeeded(turn_id, {"deltas": pauses[0].value["deltas"]})
        if self.checkpointer is None:
            self._saver.delete_thread(f"learn:{turn_id}")  # done; memory is not to grow with feedback
        return learned(state)


def feedback_given(
    truth: Any, score: float | None, evidence: str, comment: str
) -> tuple[Truth | None, Feedback | None]:
    """A truth for the judge, or feedback as it was observed. Raises BadInput where both are given."""
    if score is None:
        return (None, Unlabelled(comment=comment)) if truth is None else (Truth(target=truth), None)
    if truth is not None:
        raise BadInput("give a truth, which the judge scores, or a score; not both")
    if not 0 <= score <= 1:
        raise BadInput(f"a score is between 0 and 1, not {score}")
    return None, Observed(score=score, evidence=evidence)


def _thread(turn_id: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": f"learn:{turn_id}"}}
