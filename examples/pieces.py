"""Each piece alone, in a few lines: pick entries, assemble, keep history, documents and tools, count, replay.

    python examples/pieces.py

None of them needs a graph, a settings file or a model.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from ctxeng import render
from ctxeng.assemble import Assembler
from ctxeng.budget import Budget
from ctxeng.chunks.source import ChunkSource
from ctxeng.memory.recent import RecentHistory
from ctxeng.models.cassette import Cassette
from ctxeng.models.scripted import ScriptedModel
from ctxeng.playbook.book import Playbook
from ctxeng.playbook.entry import Entry
from ctxeng.playbook.pick import EntryPicker
from ctxeng.protocols import Allowance
from ctxeng.retrieval.hybrid import Hybrid
from ctxeng.tokens import Estimate, counter_for
from ctxeng.tools.functions import Functions
from ctxeng.tools.given import GivenTools
from ctxeng.turn import Ask, Chunk, Context, Request, Scope, Section, assistant, user
from ctxeng.turn import Call as ToolCall

PLAYBOOK = Playbook.of(
    [
        Entry(id="refunds-t6xk3", when="a refund is asked for", text="Find the purchase date first."),
        Entry(id="parcels-b2vqe", when="a parcel is late", text="Look up the carrier before you promise."),
    ]
)
COUNTER = Estimate()


def price(section: Section) -> int:
    """What a section costs, by the estimate."""
    return render.price(section, COUNTER)


def pick() -> None:
    """The entries that fit a question."""
    picker = EntryPicker(lambda: PLAYBOOK, Hybrid)
    best = picker.select(PLAYBOOK, "where is my parcel?", limit=1)
    print("picked:", best[0].id)


def assemble() -> None:
    """A window from two sources, never over its budget."""
    sources = {"playbook": EntryPicker(lambda: PLAYBOOK, Hybrid), "memory": RecentHistory()}
    request = Request(query=user("where is my parcel?"), history=(user("hello"), assistant("hi!")))
    window = Assembler(sources, Budget(window=300, reply=100)).assemble(
        request, ScriptedModel([]), Ask(max_tokens=100)
    )
    print("assembled:", window.spent, "of", window.limit)


def history() -> None:
    """The newest exchanges that fit 40 tokens."""
    messages = [message for n in range(9) for message in (user(f"question {n}"), assistant(f"answer {n}"))]
    kept = RecentHistory().gather(Request(query=user("go on"), history=tuple(messages)), Allowance(40, price))
    print("history:", [section.body.text for section in kept])


def documents() -> None:
    """Of several documents those that fit the question and the allowance."""
    texts = {
        "returns": "Returns are free for 30 days.",
        "opening": "We open at nine.",
        "vat": "Prices include VAT.",
    }
    chunks = tuple(Chunk(id=name, text=text) for name, text in texts.items())
    kept = ChunkSource().gather(Request(query=user("are returns free?"), chunks=chunks), Allowance(40, price))
    print("documents:", [section.ref for section in kept])


def find_order(number: int) -> str:
    """Where an order is."""
    return f"order {number} is in Leipzig"


def open_ticket(subject: str) -> str:
    """Hand a problem to a person."""
    return f"opened: {subject}"


def tools() -> None:
    """Python functions as tools: offered where they fit the question, run with errors as results."""
    functions = Functions.of(find_order, open_ticket)
    request = Request(query=user("where is my order 7?"), tools=functions.tools)
    offered = GivenTools(1).gather(request, Allowance(500, price))
    result = functions.run(ToolCall(id="1", name=offered[0].ref, arguments={"number": 7}), Scope())
    print("tools:", offered[0].ref, "->", result.text)


def count() -> None:
    """Tokens: exact where the model's vocabulary is on this machine, else an estimate with a margin."""
    for model in ("openai/gpt-4o", "some/other-model"):
        counter = counter_for(model)
        tokens = counter.count("Find the purchase date first.")
        print("tokens:", model, tokens, "exact" if counter.exact else "at most")


def replay() -> None:
    """A model on tape: asked once, replayed for ever without it."""
    context = Context(sections=(Section(kind="query", source="request", body=user("where is my parcel?")),))
    with TemporaryDirectory() as folder:
        tape = Path(folder) / "tape.jsonl"
        Cassette(tape, ScriptedModel(["In Leipzig."])).answer(context, Ask())
        print("replayed:", Cassette(tape, mode="replay").answer(context, Ask()).text)


if __name__ == "__main__":
    for piece in (pick, assemble, history, documents, tools, count, replay):
        piece()
