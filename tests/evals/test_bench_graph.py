from itertools import pairwise

import numpy as np
import pytest

from ctxeng.chunks.graph.prune import Prune
from ctxeng.chunks.graph.source import GraphSource
from ctxeng.chunks.graph.triples import from_triples
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng_evals.bench.graph import on_questions, pruning, speed, trees
from ctxeng_evals.bench.graph_world import World
from ctxeng_evals.case import Case, Dataset, Item

WORLD = World(seed=3, films=25, noise=4)
GRAPH = from_triples(WORLD.triples)
ENCODER = HashingEmbedder(256)


def test_a_seed_makes_the_same_world_and_questions():
    again, other = World(seed=3, films=25, noise=4), World(seed=4, films=25, noise=4)
    assert again.triples == WORLD.triples != other.triples
    assert again.questions(20) == WORLD.questions(20)


def test_the_gold_of_a_question_is_a_chain_that_begins_with_what_it_names():
    for question in WORLD.questions(60):
        gold = [WORLD.triples[place] for place in question.gold]
        assert gold[0].subject in question.text
        for before, after in pairwise(gold):
            assert after.subject == before.object or after.subject in question.text


def test_the_answer_is_not_in_the_question():
    assert not any(
        WORLD.triples[question.gold[-1]].object in question.text
        for question in WORLD.questions(60)
        if question.kind != "compare"
    )


def test_triples_of_the_world_stay_apart_in_the_graph():
    assert len(GRAPH.statements) == len(WORLD.triples)


def test_a_share_of_gold_is_what_a_source_finds():
    asked = WORLD.questions(12)
    single = [question for question in asked if question.hops == 1]
    rows = list(pruning(WORLD, GRAPH, asked, ENCODER, seed=0))
    source = GraphSource(GRAPH, ENCODER, "prune", prune=Prune(floor=0.3))
    found = [{s.text for s in source.select(q.text, 10**6, lambda _: 1)} for q in single]
    gold = [{WORLD.triples[place].sentence for place in q.gold} for q in single]
    assert rows[2].value == np.mean([want <= have for want, have in zip(gold, found, strict=True)])
    assert all(0 < row.value <= 100 for row in rows[1::2])


def test_both_sides_are_held_to_the_same_tokens():
    rows = list(trees(WORLD, GRAPH, WORLD.questions(12), ENCODER, seed=0))
    named = [row for row in rows if "all gold" in row.name or "similar triples, equal" in row.name]
    assert len(named) == 9  # two and their difference, at the tree's own tokens and at two budgets
    assert all(-1 <= row.value <= 1 for row in named)


@pytest.fixture
def paragraphs():
    texts = {
        "Blue Harbour": ["A film.", "It was directed by Ida Marsh."],
        "Ida Marsh": ["Born in Kelso.", "She sang."],
    }
    items = tuple(
        Item(id=f"{title}#{place}", text=text, title=title, source=title)
        for title, said in texts.items()
        for place, text in enumerate(said)
    )
    gold = ("Blue Harbour#1", "Ida Marsh#0")
    case = Case(id="1", question="Where was the director of Blue Harbour born?", items=items, gold=gold)
    return Dataset("small", [case])


def test_on_paragraphs_that_all_fit_the_filled_tree_finds_all_gold(paragraphs):
    rows = {row.name.partition(" [")[0]: row.value for row in on_questions(paragraphs, 5, ENCODER, seed=0)}
    assert rows["small, 256 tokens, hybrid: gold recall"] == 1
    assert rows["small, 256 tokens, tree with question, filled: gold recall"] == 1
    assert rows["small, 512 tokens, tree as in the paper: gold recall"] >= 0.5


def test_times_are_above_nothing_and_below_seconds():
    rows = list(speed(seed=0, edges=500))
    assert [row.name for row in rows] == ["a tree among 500 edges", "retrieval from 500 triples, by words"]
    assert all(0 < row.value < 20 for row in rows)
