import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxeng.chunks.graph.graph import Edge, Entity, Graph, Statement
from ctxeng.chunks.graph.triples import Triple, from_triples, read_triples
from ctxeng.errors import BadInput

TRIPLES = [
    ("Aspirin", "treats", "headache", "leaflet"),
    ("aspirins", "treats", "Headaches", "handbook"),
    ("Aspirin", "made_by", "Bayer"),
]


def test_a_graph_knows_which_statements_join_which_entities():
    graph = from_triples(TRIPLES)
    assert [entity.name for entity in graph.entities] == ["Aspirin", "headache", "Bayer"]
    assert graph.joins == ((0, 1), (0, 2))
    assert graph.around == ((0, 1), (0,), (1,))
    assert graph.written(graph.edges[1]) == ("Aspirin", "made_by", "Bayer")


def test_equal_triples_are_one_statement_with_both_sources_and_spellings_become_aliases():
    graph = from_triples(TRIPLES)
    assert [(s.text, s.sources) for s in graph.statements] == [
        ("Aspirin treats headache.", ("leaflet", "handbook")),
        ("Aspirin made by Bayer.", ("triples:3",)),
    ]
    assert graph.entities[0].aliases == ("aspirins",)


def test_ids_stay_the_same_when_the_graph_is_built_again_in_another_order():
    one = {s.text: s.id for s in from_triples(TRIPLES[1:]).statements}
    other = {s.text: s.id for s in from_triples(reversed(TRIPLES)).statements}
    assert one["Aspirin made by Bayer."] == other["Aspirin made by Bayer."]
    assert set(one.values()) == set(other.values())
    assert len(set(one.values())) == len(one)


def test_the_original_sentence_stands_in_for_the_triple():
    (statement,) = from_triples(
        [Triple(subject="a b", relation="r", object="c d", text="A b is c d!")]
    ).statements
    assert statement.text == "A b is c d!"


def test_a_statement_said_by_a_less_trusted_source_is_less_trusted():
    assert from_triples(TRIPLES, trust="trusted").statements[0].trust == "trusted"
    assert from_triples(TRIPLES).statements[0].trust == "untrusted"


@pytest.mark.parametrize("edge", [Edge(0, "r", 2, 0), Edge(-1, "r", 0, 0), Edge(0, "r", 0, 1)])
def test_an_edge_to_nowhere_is_refused(edge):
    with pytest.raises(BadInput, match="edge 0: there is no"):
        Graph((Entity("a"), Entity("b")), (Statement("s", "text"),), (edge,))


def test_a_statement_that_nothing_leads_to_is_refused():
    with pytest.raises(BadInput, match="'s' has no edge"):
        Graph((Entity("a"),), (Statement("s", "text"),), ())


def test_csv_and_json_lines_say_the_same_as_the_list(tmp_path):
    csv, lines, named = tmp_path / "t.csv", tmp_path / "t.jsonl", tmp_path / "named.csv"
    csv.write_text('Aspirin,treats,"pain, mild",leaflet\n\nAspirin,made_by,Bayer,leaflet\n')
    named.write_text(
        "\ufeffSubject,relation,object,text,source\nAspirin,made_by,Bayer,,leaflet\n", encoding="utf-8"
    )
    rows = [["Aspirin", "treats", "pain, mild", "leaflet"], {"subject": "Aspirin", "relation": "made_by"}]
    rows[1] |= {"object": "Bayer", "source": "leaflet"}
    lines.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    assert read_triples(csv) == read_triples(lines)
    assert read_triples(named).statements == read_triples(csv).statements[1:]


def test_a_line_that_names_no_source_is_its_own_source(tmp_path):
    path = tmp_path / "facts.csv"
    path.write_text("subject,relation,object\na b,r,c d\n")
    assert read_triples(path).statements[0].sources == ("facts.csv:2",)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "a,b,c\na,b\n", r"t\.csv:2: 2 columns, wanted subject"),
        ("t.csv", "a,b,c\na, ,c\n", r"t\.csv:2: relation: String should have at least 1"),
        ("t.csv", "subject,relation,object\na,b,c,d\n", r"t\.csv:2: 4 columns, the first line names 3"),
        ("t.csv", 'a,b,"c\n', r"t\.csv:1: "),
        ("t.jsonl", '["a","b","c"]\n{"a"\n', r"t\.jsonl:2: no JSON"),
        ("t.jsonl", "3\n", r"t\.jsonl:1: a triple is a list or an object, not int"),
        ("t.jsonl", '{"subject": "a", "relation": "b", "objekt": "c"}\n', r"t\.jsonl:1: object"),
        ("t.jsonl", '["a", 3, "c"]\n', r"t\.jsonl:1: relation: "),
        ("t.xml", "<a/>", r"t\.xml: triples are read from \.csv, \.jsonl"),
    ],
)
def test_a_bad_line_is_named(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=message):
        read_triples(tmp_path / name)


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"none\.csv: cannot be read"):
        read_triples(tmp_path / "none.csv")
    (tmp_path / "raw.csv").write_bytes(b"\xff\xfe,a,b")
    with pytest.raises(BadInput, match=r"raw\.csv: cannot be read as UTF-8"):
        read_triples(tmp_path / "raw.csv")


@given(st.lists(st.tuples(*[st.text(min_size=1).filter(str.strip)] * 3), max_size=8))
def test_any_text_makes_a_graph_whose_statements_all_have_a_source(triples):
    graph = from_triples(triples)
    assert len(graph.edges) >= len(graph.statements)
    assert all(statement.sources and statement.text for statement in graph.statements)
