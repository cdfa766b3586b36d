import importlib.util
import json
import logging

import numpy as np
import pytest

from ctxeng.errors import BadInput
from ctxeng.retrieval import static
from ctxeng.retrieval.embed import Embedder
from ctxeng.retrieval.static import StaticEmbedder, distilled

INSTALLED = importlib.util.find_spec("sentence_transformers") is not None
pytestmark = [
    pytest.mark.skipif(not INSTALLED, reason="extra onbox is not installed"),
    pytest.mark.filterwarnings("default::DeprecationWarning:torch.*"),
]

WORDS = ["the", "refund", "order", "late", "sea", "##s", "ship", "norway", "money", "back", "a", "b", "c"]
SPECIAL = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A two-layer BERT with seeded weights and a vocabulary of 19, as a sentence-transformers folder."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("teacher")
    torch.manual_seed(0)
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.BertConfig(vocab_size=19, max_position_embeddings=64, **size)
    transformers.BertModel(config).save_pretrained(folder)
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *WORDS])}
    transformers.BertTokenizer(vocab=vocabulary, model_max_length=64).save_pretrained(folder)
    parts = [("0", "", "Transformer"), ("1", "1_Pooling", "Pooling")]
    modules = [
        {"idx": place, "name": name, "path": path, "type": f"sentence_transformers.models.{kind}"}
        for place, (name, path, kind) in enumerate(parts)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    made = Embedder(folder=folder, cache=None)
    yield made
    made.close()


@pytest.fixture
def embedder(teacher, tmp_path):
    return StaticEmbedder(teacher, dim=8, folder=tmp_path / "static")


def test_vectors_are_unit_float32_rows_whatever_the_batches(embedder, monkeypatch):
    texts = ["the late order", "ships", "refund the money", "late", ""] * 3
    rows = embedder.embed(texts)
    assert rows.shape == (15, 8)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows[:4], axis=1), 1, atol=1e-5)
    assert not rows[4].any()
    monkeypatch.setattr(static, "_TEXTS", 2)
    assert np.allclose(embedder.embed(texts), rows, atol=1e-6)
    assert embedder.embed([]).shape == (0, 8)


def test_a_text_is_the_mean_of_its_tokens(embedder):
    rows = embedder.tokens("refunds late")
    assert rows.shape == (3, 8)  # refund, ##s, late
    mean = rows.mean(axis=0)
    assert np.allclose(embedder.embed(["refunds late"])[0], mean / np.linalg.norm(mean), atol=1e-6)
    assert np.array_equal(embedder.tokens("late")[0], rows[2])


def test_what_is_no_known_word_counts_as_nothing(embedder):
    assert embedder.tokens("xyzzy \ud83d").shape == (0, 8)
    assert np.array_equal(embedder.embed(["late xyzzy"]), embedder.embed(["late"]))
    assert not embedder.embed(["xyzzy"]).any()


def test_vectors_are_the_teachers_of_single_tokens_turned_and_weighted(teacher):
    vectors = distilled(teacher)
    assert vectors.shape == (19, 16)
    assert not vectors[: len(SPECIAL)].any()
    alone = [
        teacher.model.encode(word, output_value="token_embeddings").numpy().mean(axis=0) for word in WORDS[:5]
    ]
    frequency = 1 / np.arange(2, len(WORDS) + 2)
    frequency /= frequency.sum()
    unweighted = vectors[6:11] * ((1e-4 + frequency[:5]) / 1e-4)[:, None]
    # principal components are a rotation: distances stay
    ours = np.linalg.norm(unweighted[:, None] - unweighted[None], axis=2)
    theirs = np.linalg.norm(np.array(alone)[:, None] - np.array(alone)[None], axis=2)
    assert np.allclose(ours, theirs, atol=1e-4)


def test_components_come_by_size_and_the_first_alone_make_a_shorter_vector(teacher, embedder):
    full = StaticEmbedder(teacher, dim=16, folder=embedder.folder)
    assert np.array_equal(full.tokens("late order")[:, :8], embedder.tokens("late order"))
    with pytest.raises(BadInput, match="dim is 17, the teacher's vectors have 16"):
        StaticEmbedder(teacher, dim=17, folder=embedder.folder).embed(["late"])
    with pytest.raises(ValueError, match="dim is 0"):
        StaticEmbedder(teacher, dim=0)


def test_distillation_happens_once_and_is_logged(teacher, embedder, caplog):
    caplog.set_level(logging.INFO, logger="ctxeng.retrieval.static")
    rows = embedder.embed(["late order"])
    assert "distilling 13 static token vectors" in caplog.text
    caplog.clear()
    again = StaticEmbedder(teacher, dim=8, folder=embedder.folder)
    assert np.array_equal(again.embed(["late order"]), rows)
    assert caplog.text == ""
    assert again.name == embedder.name == f"static1-8-{teacher.name}"


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"something else"])
def test_a_damaged_file_is_made_anew(teacher, embedder, damage):
    rows = embedder.embed(["late order"])
    (file,) = embedder.folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage or whole[:-7])
    assert np.array_equal(StaticEmbedder(teacher, dim=8, folder=embedder.folder).embed(["late order"]), rows)
    assert file.read_bytes() == whole


def test_where_nothing_can_be_kept_it_works_all_the_same(teacher, embedder, tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    nowhere = StaticEmbedder(teacher, dim=8, folder=tmp_path / "file")
    assert np.array_equal(nowhere.embed(["late"]), embedder.embed(["late"]))
    assert "are not kept" in caplog.text
