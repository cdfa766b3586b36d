import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.chunks.graph.cut import parts
from ctxeng.chunks.graph.graph import Graph
from ctxeng.chunks.graph.mentions import co_mentions
from ctxeng.chunks.graph.prune import Prune
from ctxeng.chunks.graph.retrieve import Steiner
from ctxeng.chunks.graph.source import GraphSource
from ctxeng.chunks.graph.triples import from_triples
from ctxeng.errors import UnknownName
from ctxeng.protocols import Allowance
from ctxeng.render import price
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.tokens import Estimate
from ctxeng.turn import Chunk, Request, user

FACTS = [
    ("Blue Harbour", "was directed by", "Ida Marsh", "films.csv"),
    ("Ida Marsh", "was born in", "Kelso", "people.csv"),
    ("Kelso", "lies in", "Scotland", "towns.csv"),
    ("Red Lantern", "was directed by", "Tom Reed", "films.csv"),
    ("Tom Reed", "was born in", "Lund", "people.csv"),
    ("Lund", "lies in", "Sweden", "towns.csv"),
    ("Tom Reed", "plays", "the cello", "people.csv"),
]
GRAPH = from_triples(FACTS)
QUERY = "In which town was the director of Blue Harbour born?"
SOURCES = [
    GraphSource(GRAPH),
    GraphSource(GRAPH, HashingEmbedder()),
    GraphSource(GRAPH, HashingEmbedder(), steiner=Steiner(fill=True)),
    GraphSource(GRAPH, HashingEmbedder(), "prune", prune=Prune(floor=0.0, percentile=0, hops=2)),
]


def priced(section):
    return price(section, Estimate())


def gathered(source, query=QUERY, tokens=10_000):
    return source.gather(Request(query=user(query)), Allowance(tokens, priced))


def texts(sections):
    return [section.body.text for section in sections]


def ends_of(sections):
    places = {statement.id: place for place, statement in enumerate(GRAPH.statements)}
    return [places[section.ref] for section in sections]


def test_the_tree_holds_the_way_from_the_film_to_the_town():
    found = texts(gathered(GraphSource(GRAPH, HashingEmbedder())))
    assert {"Blue Harbour was directed by Ida Marsh.", "Ida Marsh was born in Kelso."} <= set(found)


def test_a_section_is_a_statement_with_its_source_and_a_ref_that_stays():
    first = gathered(SOURCES[0])[0]
    again = gathered(GraphSource(from_triples(reversed(FACTS))))
    assert first.kind == "chunk"
    assert first.source == "graph"
    assert first.body.source in {"films.csv", "people.csv", "towns.csv"}
    assert first.body.id == first.ref
    assert first.trust == first.body.trust == "untrusted"
    assert first.ref in {section.ref for section in again}


@pytest.mark.parametrize("source", SOURCES, ids=["words", "vectors", "fill", "prune"])
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 250), st.sampled_from([QUERY, "Blue Harbour or Red Lantern?", "cello", "Kelso Lund"]))
def test_it_never_spends_more_than_its_allowance_and_says_the_same_twice(source, tokens, query):
    sections = gathered(source, query, tokens)
    assert sum(priced(section) for section in sections) <= tokens
    assert [section.tokens for section in sections] == [priced(section) for section in sections]
    assert sections == gathered(source, query, tokens)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 250), st.booleans())
def test_what_a_budget_leaves_of_the_tree_is_connected(tokens, fill):
    source = GraphSource(GRAPH, HashingEmbedder(), steiner=Steiner(fill=fill))
    assert len(parts(ends_of(gathered(source, QUERY, tokens)), GRAPH.joins)) <= 1


def test_the_question_joins_the_two_sides_of_a_comparison():
    query = "Were the directors of Blue Harbour and Red Lantern born in the same town?"
    both = texts(gathered(GraphSource(GRAPH, HashingEmbedder(), steiner=Steiner(fill=True)), query))
    one = texts(
        gathered(
            GraphSource(GRAPH, HashingEmbedder(), steiner=Steiner(through_question=False, fill=True)), query
        )
    )
    assert {"Ida Marsh was born in Kelso.", "Tom Reed was born in Lund."} <= set(both)
    assert not {"Ida Marsh was born in Kelso.", "Tom Reed was born in Lund."} <= set(one)


def test_filling_adds_what_touches_the_tree():
    tree = gathered(GraphSource(GRAPH, HashingEmbedder(), steiner=Steiner(1, 1)))
    filled = gathered(GraphSource(GRAPH, HashingEmbedder(), steiner=Steiner(1, 1, fill=True)))
    assert set(texts(tree)) < set(texts(filled))


@pytest.mark.parametrize("query", ["", "???", "quarterly revenue forecasts"])
def test_a_question_that_the_graph_has_nothing_to_do_with_gets_nothing(query):
    source = GraphSource(GRAPH)
    assert source.quiet(Request(query=user(query)))
    assert gathered(source, query) == []
    assert not source.quiet(Request(query=user(QUERY)))


def test_quiet_is_said_where_nothing_passes_the_thresholds():
    source = GraphSource(GRAPH, HashingEmbedder(), "prune", prune=Prune(floor=0.999))
    assert source.quiet(Request(query=user(QUERY)))
    assert gathered(source) == []


def test_an_empty_graph_is_quiet():
    assert GraphSource(Graph()).quiet(Request(query=user(QUERY)))
    assert gathered(GraphSource(Graph())) == []


def test_select_takes_any_price():
    found = GraphSource(GRAPH).select(QUERY, 1, lambda _: 1)
    assert len(found) == 1


def test_an_unknown_mode_is_named():
    with pytest.raises(UnknownName, match="unknown graph mode 'stiener'; known: prune, steiner"):
        GraphSource(GRAPH, mode="stiener")


def test_chunks_become_a_source_whose_statements_carry_title_and_chunk():
    chunks = [
        Chunk(id="a#0", text="Blue Harbour was directed by Ida Marsh.", title="Blue Harbour", trust="user"),
        Chunk(id="b#0", text="Ida Marsh was born in Kelso.", title="Ida Marsh"),
    ]
    sections = gathered(GraphSource(co_mentions(chunks)))
    assert {(s.body.title, s.body.source, s.trust) for s in sections} == {
        ("Blue Harbour", "a#0", "user"),
        ("Ida Marsh", "b#0", "untrusted"),
    }
