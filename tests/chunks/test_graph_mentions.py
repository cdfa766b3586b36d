import time

import numpy as np
import pytest

from ctxeng.chunks.graph.mentions import co_mentions
from ctxeng.turn import Chunk


def chunk(text, title="", name="", **more):
    return Chunk(id=name or f"{title}#0", text=text, title=title, **more)


def said(graph):
    return {graph.written(edge) for edge in graph.edges}


FILM = chunk("Blue Harbour is a film. It was directed by Ida Marsh.", "Blue Harbour (film)")
PERSON = chunk("Ida Marsh was born in Kelso. Marsh studied with Tom Reed.", "Ida Marsh")
TOWN = chunk("Kelso is a town. Tom Reed lives in Kelso.", "Kelso")


def test_titles_that_a_sentence_names_are_joined_to_its_own():
    graph = co_mentions([FILM, PERSON, TOWN])
    assert said(graph) == {
        ("Blue Harbour (film)", "about", "Blue Harbour (film)"),
        ("Blue Harbour (film)", "mentions", "Ida Marsh"),
        ("Ida Marsh", "mentions", "Kelso"),
        ("Ida Marsh", "mentions", "Tom Reed"),
        ("Kelso", "about", "Kelso"),
        ("Kelso", "mentions", "Tom Reed"),
    }


def test_a_statement_is_the_sentence_with_its_title_and_chunk():
    graph = co_mentions([FILM, PERSON])
    found = {s.text: s for s in graph.statements}
    statement = found["It was directed by Ida Marsh."]
    assert statement.title == "Blue Harbour (film)"
    assert statement.sources == ("Blue Harbour (film)#0",)
    assert statement.trust == "untrusted"


def test_two_names_of_one_sentence_stand_with_each_other():
    untitled = [chunk("Tom Reed met Ida Marsh.", name="a"), chunk("Ida Marsh saw Tom Reed.", name="b")]
    graph = co_mentions(untitled)
    assert said(graph) == {("Tom Reed", "with", "Ida Marsh"), ("Ida Marsh", "with", "Tom Reed")}
    assert graph.statements[1].sources == ("b",)


def test_a_name_that_one_sentence_alone_says_is_no_entity():
    texts = [chunk("Tom Reed met Ida Marsh.", name="a"), chunk("Tom Reed left.", name="b")]
    assert [entity.name for entity in co_mentions(texts).entities] == ["Tom Reed"]
    assert len(co_mentions(texts, least=1).entities) == 2


def test_a_sentence_without_title_and_name_is_left_out():
    assert co_mentions([chunk("nothing here has a name. nor here.", name="a")]).statements == ()


def test_whole_chunks_can_be_statements():
    graph = co_mentions([FILM, PERSON], unit="chunk")
    assert [s.text for s in graph.statements] == [FILM.text, PERSON.text]


def test_the_last_word_of_a_name_stands_for_it_in_its_own_document_only():
    other = chunk("A marsh is wet. Marsh, in Kent, is a village.", "Wetland")
    graph = co_mentions([PERSON, FILM, other])
    mentions = [
        graph.written(edge) for edge in graph.edges if graph.statements[edge.statement].title == "Wetland"
    ]
    assert all(object_ != "Ida Marsh" for _, _, object_ in mentions)


def test_a_last_word_that_two_names_share_stands_for_neither():
    family = chunk("Ann Reed is the sister of Tom Reed. Reed paints.", "Painters")
    again = chunk("Ann Reed knows Tom Reed.", "Friends")
    graph = co_mentions([family, again])
    assert ("Painters", "about", "Painters") in said(graph)


def test_a_title_is_found_without_its_parenthesis_unless_that_is_ambiguous():
    planet, metal = chunk("A planet.", "Mercury (planet)"), chunk("A metal.", "Mercury (element)")
    text = chunk("Mercury is named here.", "Text")
    assert ("Text", "mentions", "Mercury (planet)") in said(co_mentions([planet, text]))
    assert ("Text", "about", "Text") in said(co_mentions([planet, metal, text]))


def test_chunks_of_one_title_are_one_entity_and_equal_sentences_one_statement():
    twice = [chunk("Kelso is a town.", "Kelso", "a"), chunk("Kelso is a town.", "KELSO", "b")]
    graph = co_mentions([*twice, chunk("Kelso is a town.", "Kelso", "c")])
    assert len(graph.entities) == 1
    assert graph.entities[0].aliases == ("KELSO",)
    assert sorted(s.sources for s in graph.statements) == [("a", "c"), ("b",)]


def test_two_spellings_of_a_title_are_no_two_things():
    graph = co_mentions([chunk("A town.", "Kelso"), chunk("Old.", "KELSO"), chunk("She left Kelso.", "Ida")])
    assert ("Ida", "mentions", "Kelso") in said(graph)


def test_a_long_list_of_names_is_not_joined_pair_by_pair():
    names = [f"{chr(65 + number)}nn Smithson" for number in range(16)]
    graph = co_mentions([chunk(", ".join(names) + ".", name=name) for name in "ab"])
    assert sum(edge.relation == "with" and edge.statement == 0 for edge in graph.edges) == 66


@pytest.mark.parametrize("chunks", [[], [chunk("", "Empty")], [chunk(" \n ", name="a")]])
def test_nothing_to_read_makes_an_empty_graph(chunks):
    assert co_mentions(chunks).statements == ()


def test_two_thousand_paragraphs_take_seconds():
    draw = np.random.default_rng(0)
    names = [f"{chr(65 + a)}lan {chr(65 + b)}oster" for a in range(26) for b in range(26)]
    texts = []
    for number in range(2_000):
        picked = draw.choice(names, 6)
        text = " ".join(f"{name} was seen near the old bridge with a red lamp in hand." for name in picked)
        texts.append(chunk(text, f"Report {number}"))
    co_mentions(texts[:10])
    start = time.perf_counter()
    graph = co_mentions(texts)
    assert time.perf_counter() - start < 20  # 2 s on an idle machine
    assert len(graph.entities) == 2_000 + len(names)
