"""Learning from one turn as a LangGraph graph: judge, propose, approval, apply; days later if need be."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from pydantic import TypeAdapter

from ctxeng.learn import Learned, Learning
from ctxeng.playbook.delta import DELTAS, Delta, targets
from ctxeng.record import Turns
from ctxeng.turn import Feedback, Truth

FEEDBACK: TypeAdapter[Feedback] = TypeAdapter(Feedback)


class LearnState(TypedDict, total=False):
    """Learning in progress as plain JSON; the turn stays in its log."""

    turn: str
    truth: dict[str, Any] | None
    feedback: dict[str, Any] | None
    deltas: list[dict[str, Any]]
    failures: list[str]
    refused: list[str]
    version: str


@dataclass(frozen=True)
class LearnGraph:
    """Builds the graph. Its thread is the turn's id, so feedback given twice learns once."""

    learning: Learning
    log: Turns

    def compile(self, checkpointer: Any) -> Any:
        """The compiled graph."""
        graph = StateGraph(LearnState)
        graph.add_node("judge", self.judge)
        graph.add_node("propose", self.propose)
        graph.add_node("approve", self.approve)
        graph.add_node("apply", self.apply)
        graph.add_edge(START, "judge")
        graph.add_edge("judge", "propose")
        graph.add_edge("propose", "approve")
        graph.add_edge("approve", "apply")
        graph.add_edge("apply", END)
        return graph.compile(checkpointer=checkpointer)

    def judge(self, state: LearnState) -> LearnState:
        """Feedback: what was given, else what the judge makes of the turn and its truth."""
        turn = self.log.get(state["turn"])
        given = state.get("feedback")
        if given is None:
            truth = state.get("truth")
            feedback = self.learning.judge.judge(turn, Truth.model_validate(truth) if truth else None)
            given = FEEDBACK.dump_python(feedback, mode="json")
        self.log.observe(turn.model_copy(update={"feedback": FEEDBACK.validate_python(given)}))
        return {"feedback": given}

    def propose(self, state: LearnState) -> LearnState:
        """What the learner wants changed."""
        proposal = self.learning.propose([self.log.get(state["turn"])])
        return {
            "deltas": DELTAS.dump_python(proposal.deltas, mode="json"),
            "failures": list(proposal.failures),
        }

    def approve(self, state: LearnState) -> LearnState:
        """Where the settings say `human`: wait for which of the deltas to accept (True, or their indices)."""
        if self.learning.approve != "human" or not state["deltas"]:
            return {}
        decision = interrupt({"turn": state["turn"], "deltas": state["deltas"]})
        chosen = range(len(state["deltas"])) if decision is True else decision or ()
        return {"deltas": [delta for index, delta in enumerate(state["deltas"]) if index in chosen]}

    def apply(self, state: LearnState) -> LearnState:
        """The deltas applied to the playbook and noted in the turn's log line."""
        turn = self.log.get(state["turn"])
        deltas = DELTAS.validate_python(state["deltas"])
        # the same feedback twice teaches once; a corrected one teaches anew
        said = hashlib.sha256(json.dumps(state["feedback"], sort_keys=True).encode()).hexdigest()[:12]
        key = f"feedback:{turn.id}:{said}"
        learned = self.learning.apply(deltas, by="learn", why=f"feedback on {turn.id}", key=key)
        self.learning.store.commit()
        ids = [name for delta in learned.applied for name in targets(delta)]
        self.log.observe(turn.model_copy(update={"deltas": tuple(dict.fromkeys([*turn.deltas, *ids]))}))
        return {
            "deltas": DELTAS.dump_python(learned.applied, mode="json"),
            "refused": list(learned.refused),
            "version": learned.version,
        }


def learned(state: LearnState) -> Learned:
    """The final state as a value."""
    deltas: tuple[Delta, ...] = DELTAS.validate_python(state.get("deltas", []))
    return Learned(
        deltas, tuple(state.get("refused", [])), tuple(state.get("failures", [])), state.get("version", "")
    )
