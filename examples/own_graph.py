"""A ctxeng turn as one node of your own LangGraph graph: your nodes before and behind it share its state.

    python examples/own_graph.py

Here a node of ours masks card numbers before the turn, and another one passes uncertain answers to a person.
"""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from langgraph.graph import END, START, StateGraph

from ctxeng.models.scripted import ScriptedModel
from ctxeng.orchestrator import Orchestrator
from ctxeng.settings import open_app
from ctxeng.turn import Ask, Context
from ctxeng.turn_graph import TurnState

PLAYBOOK = """\
ctxeng: 1
playbook: helpdesk
learning: {strategy: onbox}
entries:
  - id: cards-u5wyd
    when: a charge is disputed
    text: Ask for the last four digits only.
"""


class DeskState(TurnState, total=False):
    """Our own fields beside those of the turn."""

    ticket: str
    reply: str
    turn_id: str
    to_person: bool


def desk(orchestrator: Orchestrator) -> StateGraph:
    """Our graph: mask, turn (the subgraph), check."""

    def mask(state: DeskState) -> DeskState:
        ticket = re.sub(r"\b\d{12,19}\b", "[card]", state["ticket"])
        return {**orchestrator.start(ticket), "ticket": ticket}

    def check(state: DeskState) -> DeskState:
        turn = orchestrator.turn_of(state)
        reply = turn.answer.text if turn.answer else ""
        return {"reply": reply, "turn_id": turn.id, "to_person": "not sure" in reply}

    graph = StateGraph(DeskState)
    graph.add_node("mask", mask)
    graph.add_node("turn", orchestrator.graph)
    graph.add_node("check", check)
    graph.add_edge(START, "mask")
    graph.add_edge("mask", "turn")
    graph.add_edge("turn", "check")
    graph.add_edge("check", END)
    return graph


def reply(context: Context, ask: Ask) -> str:  # noqa: ARG001 - the shape of a script
    """What a model might say; put a hosted one into the YAML instead."""
    notes = len(context.of("playbook"))
    query = context.of("query")[-1].body.text
    return f"I am not sure ({notes} notes). You wrote: {query}"


def main() -> None:
    """Run the graph, then teach the turn that ran inside it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "helpdesk.yaml"
        path.write_text(PLAYBOOK, encoding="utf-8")
        with open_app(path, model=ScriptedModel(reply)).orchestrator() as orchestrator:
            graph = desk(orchestrator).compile()
            state = graph.invoke({"ticket": "Why was 4111111111111111 charged twice?"})
            print("reply:", state["reply"])
            print("goes to a person:", state["to_person"])
            learned = orchestrator.feedback(state["turn_id"], truth="A person checks the ledger.")
            print("learned:", ", ".join(delta.op for delta in learned.applied))


if __name__ == "__main__":
    main()
