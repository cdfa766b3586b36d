import numpy as np
import pytest

from ctxeng.chunks.units import parent, units
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.turn import Chunk

TEXT = "Ada wrote notes. They were long. Babbage read them."


class Late:
    """An encoder that reads spans and writes down what it was given."""

    name, dim = "late", 2

    def __init__(self):
        self.asked = []

    def embed(self, texts):
        return np.tile(np.array([1.0, 0.0], dtype=np.float32), (len(texts), 1))

    def embed_spans_many(self, asked):
        self.asked += [(text, [text[a:b] for a, b in spans]) for text, spans in asked]
        return [
            np.array([[0.0, len(text[a:b])] for a, b in spans], dtype=np.float32) for text, spans in asked
        ]


def test_sentences_lead_back_to_their_chunk_and_its_source():
    chunk = Chunk(id="notes#1", text=TEXT, source="notes.md", title="Notes", start=100, end=100 + len(TEXT))
    found = units([chunk])
    assert [unit.text for unit in found.chunks] == [
        "Ada wrote notes.",
        "They were long.",
        "Babbage read them.",
    ]
    for unit in found.chunks:
        assert TEXT[unit.start - 100 : unit.end - 100] == unit.text
        assert parent(unit.id) == "notes#1"
        assert (unit.source, unit.title, unit.trust) == ("notes.md", "Notes", "untrusted")
    assert len({unit.id for unit in found.chunks}) == 3


def test_whole_chunks_keep_their_ids():
    found = units([Chunk(id="a", text=TEXT)], "chunk")
    assert [unit.id for unit in found.chunks] == ["a"]
    assert parent("a") == "a"


def test_neighbours_of_one_source_and_title_are_one_group_up_to_a_paragraph_s_length():
    def chunk(name, source="s", title="t", text="short"):
        return Chunk(id=name, text=text, source=source, title=title)

    together = units([chunk("a"), chunk("b"), chunk("c", title="other"), chunk("d")], "chunk")
    assert together.groups.tolist() == [0, 0, 1, 2]
    assert together.titles == ("t", "other", "t")
    long = units([chunk("a", text="x" * 1_500), chunk("b", text="y" * 1_500)], "chunk")
    assert long.groups.tolist() == [0, 1]
    nameless = units([chunk("a", source=""), chunk("b", source="")], "chunk")
    assert nameless.groups.tolist() == [0, 1]


def test_an_encoder_of_spans_reads_each_sentence_with_its_title_and_its_neighbours():
    encoder = Late()
    chunks = [Chunk(id="a", text=TEXT, title="Notes"), Chunk(id="b", text="Alone.")]
    view = units(chunks).view("who?", encoder)
    assert view.vectors[:, 1].tolist() == [16, 15, 18, 6]
    whole, pieces = encoder.asked[0]
    assert whole.startswith("Notes\nAda wrote notes.")
    assert pieces == ["Ada wrote notes.", "They were long.", "Babbage read them."]


def test_other_encoders_read_sentences_alone_and_none_is_needed():
    chunks = [Chunk(id="a", text=TEXT)]
    assert units(chunks).view("ada", HashingEmbedder(64)).cosine.shape == (3,)
    assert units(chunks).view("ada", None).cosine is None
    assert units([]).view("ada", HashingEmbedder(64)).texts == ()


@pytest.mark.parametrize("text", ["", "   ", "no end", "One. Two?\n\nThree"])
def test_nothing_is_lost_but_white_space(text):
    found = units([Chunk(id="a", text=text)])
    assert "".join("".join(unit.text.split()) for unit in found.chunks) == "".join(text.split())
