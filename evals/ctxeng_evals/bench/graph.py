"""Graph retrieval: what pruning keeps, and trees beside the most similar statements at equal tokens."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial

import numpy as np

from ctxeng.chunks.graph.graph import Graph, Statement
from ctxeng.chunks.graph.joints import Joints
from ctxeng.chunks.graph.mentions import co_mentions
from ctxeng.chunks.graph.prune import Prune
from ctxeng.chunks.graph.retrieve import Steiner
from ctxeng.chunks.graph.source import GraphSource
from ctxeng.chunks.graph.steiner import steiner_tree
from ctxeng.chunks.graph.triples import from_triples
from ctxeng.errors import BadInput
from ctxeng.retrieval.embed import Embedder, HashingEmbedder, TextEncoder
from ctxeng.retrieval.hybrid import Hybrid
from ctxeng.tokens import Estimate
from ctxeng.turn import Chunk
from ctxeng_evals import registry
from ctxeng_evals.bench.graph_world import Question, World
from ctxeng_evals.bench.table import Figures, Row, seconds
from ctxeng_evals.case import Case, Dataset
from ctxeng_evals.stats import difference_of, mean_of

SETS = ("hotpotqa", "2wikimultihop")
BUDGETS = (256, 512)
_COUNT = Estimate().count
_ENOUGH = 10**9

# statements for a question within so many tokens
Method = Callable[[str, int], Collection[str]]


def run(seed: int = 0) -> Figures:
    """Figures on a made-up world, on the questions of `SETS`, and of speed."""
    encoder, notes = _encoder()
    world = World(seed + 1)  # the growing of trees was chosen on world 0
    graph = from_triples(world.triples)
    asked = world.questions(120)
    rows = [*pruning(world, graph, asked, encoder, seed), *trees(world, graph, asked, encoder, seed)]
    for name in SETS:
        try:
            dataset = registry.load(name)
        except BadInput as error:
            notes.append(f"{name} was left out: {error}")
        else:
            rows += on_questions(dataset, 60, encoder, seed)
    rows += speed(seed)
    notes.append(
        f"world: {len(graph.statements)} triples, {len(graph.entities)} entities, {len(asked)} questions"
    )
    notes.append("tokens are estimated; on paragraphs a sentence costs its title and its text")
    return Figures("graph", tuple(rows), tuple(notes), seed)


# -- the made-up world ----------------------------------------------------------------------------------


def pruning(
    world: World, graph: Graph, asked: Sequence[Question], encoder: TextEncoder, seed: int
) -> Iterator[Row]:
    """KG-RAG: the share of questions that keep all gold triples, and the tokens beside no pruning."""
    everything = Prune(percentile=0, floor=-2, most=_ENOUGH)
    single = [question for question in asked if question.hops == 1]
    for name, questions, prune in (
        ("one hop, the paper's thresholds", single, Prune()),
        ("one hop, floor .3", single, Prune(floor=0.3)),
        ("all questions, 3 hops, floor .2, percentile 50", asked, Prune(percentile=50, floor=0.2, hops=3)),
        ("all questions, 3 hops, floor 0, percentile 25, no cap", asked, Prune(25, 0, _ENOUGH, hops=3)),
    ):
        pruned = GraphSource(graph, encoder, "prune", prune=prune)
        whole = GraphSource(graph, encoder, "prune", prune=_with_hops(everything, prune.hops))
        kept = [_texts(pruned, question.text, _ENOUGH) for question in questions]
        before = [_texts(whole, question.text, _ENOUGH) for question in questions]
        tokens = sum(map(_tokens, kept)) / sum(map(_tokens, before))
        shares = [_has_all(world, question, texts) for question, texts in zip(questions, kept, strict=True)]
        yield _share(f"KG-RAG, {name}: all gold kept", shares, seed, ">= 0.95")
        yield Row("  tokens, of those without pruning", 100 * tokens, "%", None, "", "<= 50")


def trees(
    world: World, graph: Graph, asked: Sequence[Question], encoder: TextEncoder, seed: int
) -> Iterator[Row]:
    """G-Retriever beside the most similar triples: questions with all gold triples at equal tokens."""
    index = Hybrid([statement.searchable for statement in graph.statements], encoder)
    prices = [_COUNT(statement.text) for statement in graph.statements]
    texts = [statement.text for statement in graph.statements]

    def nearest(question: str, tokens: int) -> list[str]:
        return [texts[place] for place in _filled(index, question, prices, tokens)]

    paper = partial(_texts, GraphSource(graph, encoder, steiner=Steiner(through_question=False)))
    spent = [_tokens(paper(question.text, _ENOUGH)) for question in asked]
    yield Row("tokens of a tree as in the paper (k 3, cost .5)", float(np.mean(spent)), "tokens")
    yield from _versus(world, asked, ("the paper's tree", paper), nearest, spent, seed)
    filled = partial(_texts, GraphSource(graph, encoder, steiner=Steiner(fill=True)))
    for budget in (128, 256):
        label = f"tree with the question in it, grown to {budget} tokens"
        yield from _versus(world, asked, (label, filled), nearest, [budget] * len(asked), seed)


def _versus(
    world: World,
    asked: Sequence[Question],
    ours: tuple[str, Method],
    other: Method,
    budgets: Sequence[int],
    seed: int,
) -> Iterator[Row]:
    label, method = ours
    pairs = []
    for question, budget in zip(asked, budgets, strict=True):
        found = (_has_all(world, question, each(question.text, budget)) for each in (other, method))
        pairs.append((next(found), next(found)))
    yield _share(f"{label}: all gold", [pair[1] for pair in pairs], seed)
    yield _share("  most similar triples, equal tokens", [pair[0] for pair in pairs], seed)
    yield _difference(pairs, seed)
    for kind in dict.fromkeys(question.kind for question in asked):
        some = [pair for question, pair in zip(asked, pairs, strict=True) if question.kind == kind]
        mean = np.mean(some, axis=0)
        yield Row(f"    of kind {kind}: tree (similar triples: {mean[0]:.3f})", float(mean[1]), "")


# -- real paragraphs ------------------------------------------------------------------------------------


def on_questions(dataset: Dataset, count: int, encoder: TextEncoder, seed: int) -> Iterator[Row]:
    """Gold sentences found in a question's own paragraphs, beside plain hybrid search at equal budgets."""
    cases = random.Random(seed).sample(list(dataset.cases), min(count, len(dataset.cases)))  # noqa: S311
    scored: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for case in cases:
        for name, method in _methods(case, encoder):
            for budget in BUDGETS:
                found = set(method(case.question, budget))
                share = sum(gold in found for gold in case.gold) / len(case.gold)
                scored.setdefault((name, budget), []).append((share, float(share == 1)))
    for (name, budget), values in scored.items():
        recall, every = zip(*values, strict=True)
        label = f"{dataset.name}, {budget} tokens, {name}"
        yield _share(f"{label}: gold recall", recall, seed)
        yield _share("  all gold", every, seed)
        if name != "hybrid":
            plain = [pair[1] for pair in scored["hybrid", budget]]
            yield _difference(list(zip(plain, every, strict=True)), seed)


def _methods(case: Case, encoder: TextEncoder) -> Iterator[tuple[str, Method]]:
    items = case.items
    prices = {item.id: _COUNT(item.title) + _COUNT(item.text) for item in items}
    index = Hybrid([f"{item.title}\n{item.text}" for item in items], encoder)
    costs = list(prices.values())
    yield "hybrid", lambda query, tokens: [items[p].id for p in _filled(index, query, costs, tokens)]
    chunks = [Chunk(id=item.id, text=item.text, title=item.title, source=item.source) for item in items]
    graph = co_mentions(chunks, unit="chunk")
    for name, source in (
        ("tree as in the paper", GraphSource(graph, encoder, steiner=Steiner(through_question=False))),
        ("tree with question, filled", GraphSource(graph, encoder, steiner=Steiner(fill=True))),
        ("pruned, 2 hops, floor .2", GraphSource(graph, encoder, "prune", prune=Prune(50, 0.2, hops=2))),
    ):
        yield name, partial(_sources, source, prices)


def _sources(source: GraphSource, prices: dict[str, int], query: str, tokens: int) -> list[str]:
    chosen = source.select(query, tokens, lambda statement: prices[statement.sources[0]])
    return [each for statement in chosen for each in statement.sources]


# -- speed ----------------------------------------------------------------------------------------------


def speed(seed: int, edges: int = 10_000) -> Iterator[Row]:
    """Seconds of a tree in a random graph of so many edges, and of a whole retrieval from as many triples."""
    draw, count = np.random.default_rng(seed), edges // 2
    joints = Joints(count, [tuple(draw.choice(count, 2, replace=False).tolist()) for _ in range(edges)])
    node_prizes, edge_prizes = np.zeros(count), np.zeros(edges)
    node_prizes[draw.choice(count, 3, replace=False)] = [3, 2, 1]
    edge_prizes[draw.choice(edges, 3, replace=False)] = [3, 2, 1]
    tree = seconds(lambda: steiner_tree(joints, node_prizes, edge_prizes, 0.5))
    yield Row(f"a tree among {edges:,} edges", tree, "s")
    names = [f"Unit {number} Alpha" for number in range(count)]
    triples = [(names[one], "leads to", names[two]) for one, two in draw.integers(0, count, (edges, 2))]
    source = GraphSource(from_triples(triples))
    queries = [f"Does {names[number]} lead to {names[-number]}?" for number in range(1, 7)]
    source.select(queries.pop(), 256, _price)  # the index is made once
    whole = seconds(lambda: source.select(queries.pop(), 256, _price))
    yield Row(f"retrieval from {edges:,} triples, by words", whole, "s")


# -- helpers --------------------------------------------------------------------------------------------


def _encoder() -> tuple[TextEncoder, list[str]]:
    encoder = Embedder()
    try:
        return encoder, [f"encoder {encoder.name}"]
    except BadInput as error:
        return HashingEmbedder(512), [f"hashed words stand in for sentence vectors: {error}"]


def _with_hops(prune: Prune, hops: int) -> Prune:
    return Prune(prune.percentile, prune.floor, prune.most, prune.nodes, hops)


def _price(statement: Statement) -> int:
    return _COUNT(statement.text)


def _texts(source: GraphSource, query: str, tokens: int) -> list[str]:
    return [statement.text for statement in source.select(query, tokens, _price)]


def _tokens(texts: Collection[str]) -> int:
    return sum(map(_COUNT, texts))


def _filled(index: Hybrid, query: str, prices: Sequence[int], tokens: int) -> Iterator[int]:
    for place, _ in index.search(query, len(prices)):
        if prices[place] <= tokens:
            tokens -= prices[place]
            yield place


def _has_all(world: World, question: Question, texts: Collection[str]) -> float:
    return float({world.triples[place].sentence for place in question.gold} <= set(texts))


def _share(label: str, values: Sequence[float], seed: int, target: str = "") -> Row:
    found = mean_of(values, [str(place) for place in range(len(values))], seed)
    assert found is not None
    return Row(f"{label} [{found.low:.3f}, {found.high:.3f}]", found.mean, "", None, "", target)


def _difference(pairs: Sequence[tuple[float, float]], seed: int) -> Row:
    found = difference_of(pairs, [str(place) for place in range(len(pairs))], seed)
    assert found is not None
    low, high = found.estimate.low, found.estimate.high
    return Row(f"  difference of all gold [{low:+.3f}, {high:+.3f}]", found.estimate.mean, "")
