"""A graph as a source: facts from triples, and a graph read out of plain documents, within a token budget.

    python examples/graph_source.py

Runs offline, without a model. Give `GraphSource` an `Embedder()` to search by meaning, too.
"""

from __future__ import annotations

from ctxeng import render
from ctxeng.chunks.graph.mentions import co_mentions
from ctxeng.chunks.graph.prune import Prune
from ctxeng.chunks.graph.retrieve import Steiner
from ctxeng.chunks.graph.source import GraphSource
from ctxeng.chunks.graph.triples import from_triples
from ctxeng.protocols import Allowance
from ctxeng.tokens import Estimate
from ctxeng.turn import Chunk, Request, Section, user

FACTS = [
    ("aspirin", "treats", "headache", "leaflet 12"),
    ("aspirin", "interacts with", "warfarin", "leaflet 12"),
    ("warfarin", "treats", "thrombosis", "leaflet 30"),
    ("ibuprofen", "treats", "headache", "leaflet 7"),
    ("paracetamol", "treats", "fever", "leaflet 9"),
]
PAGES = [
    Chunk(id="p1", title="Blue Harbour", text="A film of 1999. It was directed by Ida Marsh."),
    Chunk(id="p2", title="Ida Marsh", text="She was born in Kelso. Marsh also painted."),
    Chunk(id="p3", title="Kelso", text="A town on the river Tweed."),
]


def price(section: Section) -> int:
    """What a section costs, by the estimate."""
    return render.price(section, Estimate())


def show(title: str, source: GraphSource, question: str, tokens: int) -> None:
    """What the source has to say to a question, each line with where it is from."""
    sections = source.gather(Request(query=user(question)), Allowance(tokens, price))
    print(f"{title}: {question}")
    for section in sections:
        if isinstance(section.body, Chunk):
            print(f"  {section.body.text}  [{section.body.source}]")


if __name__ == "__main__":
    facts = from_triples(FACTS)
    question = "May I take aspirin when I am on warfarin against thrombosis?"
    show("connected", GraphSource(facts), question, 200)
    show("pruned", GraphSource(facts, mode="prune", prune=Prune(percentile=75, floor=0.3)), question, 200)
    pages = GraphSource(co_mentions(PAGES), steiner=Steiner(fill=True))
    show("read", pages, "Where was the director of Blue Harbour born?", 200)
