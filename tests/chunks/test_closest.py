import numpy as np

from ctxeng.chunks.candidates import Near, Titles
from ctxeng.chunks.closest import Closest
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.turn import Chunk


def test_titles_are_found_in_a_text_in_its_order_and_forgotten_again():
    titles = Titles()
    titles.add(0, "Ada Lovelace")
    titles.add(1, "Paris (Texas)")
    assert titles.named("From Paris came Ada Lovelace and Ada.") == [1, 0]
    titles.remove(1, "Paris (Texas)")
    assert titles.named("Paris") == []
    titles.remove(1, "Paris (Texas)")  # twice does no harm


def test_a_title_that_many_passages_have_says_nothing():
    titles = Titles()
    for place in range(6):
        titles.add(place, "Introduction")
    assert titles.named("the Introduction") == []


def test_a_passage_that_a_hit_names_is_a_candidate_though_no_word_of_it_was_asked_for():
    chunks = [
        Chunk(
            id="film",
            text="Big Stone Gap was directed by Adriana Trigiani.",
            title="Big Stone Gap",
            source="1",
        ),
        Chunk(id="person", text="She lives in Greenwich Village.", title="Adriana Trigiani", source="2"),
        *(
            Chunk(id=f"n{i}", text=f"Unrelated text {i}.", title=f"Other {i}", source=f"o{i}")
            for i in range(9)
        ),
    ]
    near = Closest(chunks, None, Near(each=1)).near("Who made Big Stone Gap?")
    assert [chunk.id for chunk in near] == ["film", "person"]


def test_chunks_of_one_paragraph_come_together_in_reading_order():
    chunks = [
        Chunk(id="a0", text="Nothing here.", title="T", source="a"),
        Chunk(id="a1", text="The zebra runs.", title="T", source="a"),
        Chunk(id="b0", text="A zebra zebra.", title="U", source="b"),
    ]
    found = [chunk.id for chunk in Closest(chunks, HashingEmbedder(64)).near("zebra")]
    assert sorted(found) == ["a0", "a1", "b0"]
    assert found.index("a1") == found.index("a0") + 1


def test_an_empty_corpus_has_no_candidates():
    assert Closest([]).near("anything") == []
    assert len(Closest([])) == 0


def test_both_scores_bring_candidates():
    near = Near(each=1, hops=0)
    words, meaning = np.array([1.0, 0.0, 0.0], dtype=np.float32), np.array([0.0, 0.9, 0.1], dtype=np.float32)
    assert near.places("q", words, meaning, Titles(), ("a", "b", "c")) == [0, 1]
