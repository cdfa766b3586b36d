from dataclasses import dataclass

import numpy as np
import pytest

from ctxeng.chunks.documents.document import Document
from ctxeng.chunks.split.semantic import Semantic, boundaries, neighbour_likeness
from ctxeng.errors import BadInput, UnknownName
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.tokens import Exact

WORDS = Exact("words", lambda text: len(text.split()))


@dataclass(frozen=True)
class Topics:
    """A vector a topic: what a sentence's first letter says."""

    name: str = "topics"
    dim: int = 26

    def embed(self, texts):
        rows = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            row[ord(text[0].lower()) - ord("a")] = 1
        return rows


def split(text, **options):
    options = {"limit": 64, "least": 0, "counter": WORDS, **options}
    return [chunk.text for chunk in Semantic(Topics(), **options).split(Document(source="s", text=text))]


TOPICS = " ".join(f"{letter} says {number} things." for letter in "ABC" for number in range(6))


def test_a_chunk_ends_where_the_topic_changes():
    assert [text[0] for text in split(TOPICS)] == ["A", "B", "C"]
    assert all(len({word[0] for word in text.split()[::4]}) == 1 for text in split(TOPICS))


def test_minima_under_the_mean_count_too_where_they_are_asked_for():
    likeness = np.array([0.9, 0.5, 0.9, 0.1, 0.9, 0.9], dtype=np.float32)
    assert boundaries(likeness, "drop", 1.0).tolist() == [3]
    assert boundaries(likeness, "minimum", 1.0).tolist() == [1, 3]


def test_likeness_is_the_cosine_of_the_means_on_both_sides():
    rows = np.eye(3, dtype=np.float32)[[0, 0, 1, 1]]
    assert neighbour_likeness(rows, 1).tolist() == [1.0, 0.0, 1.0]
    assert neighbour_likeness(rows, 2) == pytest.approx([0.5**0.5, 0.0, 0.5**0.5])
    assert neighbour_likeness(rows[:1], 2).tolist() == []


def test_a_text_of_one_subject_is_one_chunk_unless_too_long():
    text = " ".join(f"A says {number} things." for number in range(8))
    assert len(split(text)) == 1
    assert all(len(each.split()) <= 16 for each in split(text, limit=16))


def test_short_chunks_join_the_neighbour_that_is_more_like_them():
    text = "A one two three. A one two three. B one. C one two three. C one two three."
    assert split(text, around=1, z=0.5) == ["A one two three. A one two three.", "B one.", text[41:]]
    joined = split(text, around=1, z=0.5, least=4)
    assert len(joined) == 2
    assert " ".join(joined) == text


def test_a_rule_or_size_that_makes_no_sense_is_refused():
    with pytest.raises(UnknownName, match="unknown rule 'peak'; known: drop, minimum"):
        Semantic(HashingEmbedder(), rule="peak")
    with pytest.raises(BadInput, match="least at most limit"):
        Semantic(HashingEmbedder(), limit=32, least=64)
