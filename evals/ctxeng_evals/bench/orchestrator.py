"""The orchestrator's own cost a turn, against bare LangGraph nodes, and what its checkpoints weigh."""

from __future__ import annotations

import time
from statistics import median
from typing import Any, TypedDict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph

from ctxeng.assemble import Assembler
from ctxeng.budget import Budget
from ctxeng.models.roles import RoleModels
from ctxeng.models.scripted import ScriptedModel
from ctxeng.orchestrator import Orchestrator
from ctxeng.record import RecentTurns
from ctxeng.steps import Steps
from ctxeng.tools.functions import Functions
from ctxeng.turn import Answer, Ask, Call, Context, Message, assistant
from ctxeng_evals.bench.table import Figures, Row

TURNS = 30  # of which a median is taken: ten lie within a shared machine's noise
NODES = 4  # prepare, assemble, answer, remember


class Bare(TypedDict, total=False):
    """The state of a graph whose nodes do nothing."""

    turn: str


def run(seed: int = 0) -> Figures:
    """Figures O1 to O3 of the peers' table."""
    rows: list[Row] = []
    app, bare = plain_app(), bare_graph(NODES)
    first = _interleaved(app, bare, TURNS)
    for _ in range(1_000 - 2 * TURNS):
        app.invoke("What now?")
    last = _interleaved(app, bare, TURNS)
    for label, (ours, theirs) in ((f"turns 1 to {TURNS}", first), (f"turns {1_001 - TURNS} to 1,000", last)):
        rows.append(Row(f"a turn, {label}", ours * 1e3, "ms"))
        above = Row(
            f"  of that above {NODES} bare nodes",
            (ours - theirs) * 1e3,
            "ms",
            theirs * 1e3,
            "those nodes",
            "<= 1",
        )
        rows.append(above)
    for turns in (20, 40, 80):
        size = checkpoint_bytes(turns)
        rows.append(Row(f"checkpoint bytes after {turns} tool turns", size / 1e3, "kB", None, "", "linear"))
    return Figures("orchestrator", tuple(rows), seed=seed)


def plain_app() -> Orchestrator:
    """An orchestrator with a model that answers at once and no sources: only its own cost is left."""
    said = Answer(message=assistant("ok"))
    model = ScriptedModel(lambda context, ask: said)  # noqa: ARG005 - the model's seam
    return _app(model)


def _app(model: ScriptedModel, checkpointer: Any = None) -> Orchestrator:
    log, functions = RecentTurns(), Functions.of(add)
    steps = Steps(
        models=RoleModels(model),
        assembler=Assembler({}, Budget(8_000, reply=200, loop=1_000)),
        runner=functions,
        tools=functions.tools,
        observers=(log,),
    )
    return Orchestrator(steps, log, checkpointer=checkpointer)


def add(a: int, b: int) -> int:
    """The sum of two numbers."""
    return a + b


def bare_graph(nodes: int) -> Any:
    """A LangGraph graph of so many nodes that do nothing."""
    graph = StateGraph(Bare)
    names = [f"node{number}" for number in range(nodes)]
    for name in names:
        graph.add_node(name, lambda state: {"turn": state["turn"]})
    for before, after in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(before, after)
    return graph.compile()


def _interleaved(app: Orchestrator, bare: Any, turns: int) -> tuple[float, float]:
    """Median CPU seconds of a turn and of the bare graph, in turns: a busy machine hits both alike."""
    app.invoke("warm up"), bare.invoke({"turn": "warm up"})
    ours, theirs = [], []
    for _ in range(turns):
        start = time.process_time()
        app.invoke("What now?")
        middle = time.process_time()
        bare.invoke({"turn": "t"})
        ours.append(middle - start)
        theirs.append(time.process_time() - middle)
    return median(ours), median(theirs)


def checkpoint_bytes(turns: int) -> int:
    """Bytes of all checkpoints, blobs and writes after so many turns of one tool call each."""

    def reply(context: Context, ask: Ask) -> str | Message:  # noqa: ARG001 - the model's seam
        calls = (Call(id="k", name="add", arguments={"a": 1, "b": 2}),)
        return "three" if context.of("step") else Message(role="assistant", parts=calls)

    saver = InMemorySaver()
    app = _app(ScriptedModel(reply), saver)
    for number in range(turns):
        app.invoke("1 + 2?", turn_id=f"turn-{number}")
    blobs = sum(len(blob[1]) for blob in saver.blobs.values())
    checkpoints = [
        e for thread in saver.storage.values() for space in thread.values() for e in space.values()
    ]
    saved = sum(len(part[1]) for entry in checkpoints for part in entry[:2])
    writes = sum(len(write[2][1]) for pending in saver.writes.values() for write in pending.values())
    return blobs + saved + writes
