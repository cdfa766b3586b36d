"""A question whose second search depends on what the first one found: IterDRAG, before assembly.

    python examples/iterative_retrieval.py

Runs offline: a scripted model stands in for yours and plays what a model would reply.
"""

from __future__ import annotations

from ctxeng.chunks.iterate.base import Trace, within
from ctxeng.chunks.iterate.iterdrag import IterDrag
from ctxeng.models.roles import RoleModels
from ctxeng.models.scripted import ScriptedModel
from ctxeng.turn import Chunk, Request, user

PAGES = [
    Chunk(id="p1", title="Blue Harbour", text="A film of 1999. It was directed by Ida Marsh."),
    Chunk(id="p2", title="Kelso", text="A town where children spend the summer by the river."),
    Chunk(
        id="p3",
        title="Early life",
        text="Ida Marsh spent her childhood in Kelso, where her parents kept sheep.",
    ),
]
QUESTION = "In which place was the director of the film Blue Harbour raised?"
REPLIES = [
    '{"answer": "", "enough": false, "next": "Where did Ida Marsh spend her childhood?"}',
    '{"answer": "Kelso", "enough": true, "next": ""}',
]


def show(trace: Trace) -> None:
    """What was searched for, and what that found."""
    for asked in trace.asked:
        answer = f" -> {asked.answer}" if asked.answer else ""
        print(f"searched: {asked.question} {list(asked.found)}{answer}")
    print(f"stopped: {trace.stopped}, {trace.usage.calls} calls")


if __name__ == "__main__":
    step = IterDrag(search=within(PAGES), k=1, cap=4_000, on_trace=show)  # a corpus: search=corpus.search
    request = Request(query=user(QUESTION))
    request, usage = step.prepare(request, RoleModels(ScriptedModel(REPLIES)))
    print("chunks:", *(chunk.title for chunk in request.chunks))
