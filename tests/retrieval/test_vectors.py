"""One contract for every vector store, and what is special about each."""

import importlib.util
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from ctxeng.errors import BadInput, MissingExtra
from ctxeng.retrieval import chroma
from ctxeng.retrieval.chroma import ChromaVectors
from ctxeng.retrieval.vectors import ExactVectors

INSTALLED = importlib.util.find_spec("chromadb") is not None
needs_chroma = pytest.mark.skipif(not INSTALLED, reason="extra vectors is not installed")
pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning:chromadb.*")

DIM = 16


def unit(count, seed=0):
    rows = np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def names(count, first=0):
    return [f"t{number}" for number in range(first, first + count)]


@contextmanager
def server(folder):
    """A Chroma server of its own; skips with the reason where it does not come up."""
    command = Path(sys.executable).with_name("chroma")
    if not command.is_file():
        pytest.skip("no `chroma` command beside this Python")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [command, "run", "--path", folder, "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(started, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(600):
            if process.poll() is not None:
                pytest.skip(f"chroma run ended at once: {process.stderr.read()[-200:]}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        else:
            pytest.skip("chroma run did not listen within 30 seconds")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=10)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(
    params=["exact", pytest.param("folder", marks=needs_chroma), pytest.param("server", marks=needs_chroma)]
)
def store(request, tmp_path):
    if request.param == "exact":
        made = ExactVectors("enc@1", DIM)
    elif request.param == "folder":
        made = ChromaVectors("enc@1", DIM, tmp_path / "chroma")
    else:
        made = ChromaVectors("enc@1", DIM, request.getfixturevalue("url"), collection=tmp_path.name)
    yield made
    made.close()


# -- the contract ---------------------------------------------------------------------------------------


def test_the_nearest_come_first_with_their_dot_products(store):
    rows = unit(50)
    store.upsert(names(50), rows)
    question = unit(1, seed=1)[0]
    want = sorted(zip(names(50), (rows @ question).tolist(), strict=True), key=lambda each: -each[1])[:7]
    found = store.query(question, 7)
    assert [name for name, _ in found] == [name for name, _ in want]
    assert [score for _, score in found] == pytest.approx([score for _, score in want], abs=1e-5)


def test_an_empty_store_finds_nothing(store):
    assert store.query(unit(1)[0], 5) == []
    assert len(store) == 0
    assert store.ids() == set()
    assert not store.scores(unit(1)[0], ["t1"]).any()


def test_no_more_is_found_than_there_is_or_was_asked_for(store):
    store.upsert(names(3), unit(3))
    assert len(store.query(unit(1)[0], 10)) == 3
    assert len(store.query(unit(1)[0], 2)) == 2
    assert store.query(unit(1)[0], 0) == []


def test_an_id_that_comes_again_has_its_new_vector(store):
    store.upsert(names(3), unit(3))
    new = unit(1, seed=5)
    store.upsert(["t1"], new)
    assert len(store) == 3
    assert store.query(new[0], 1)[0][0] == "t1"
    assert store.scores(new[0], ["t1"])[0] == pytest.approx(1, abs=1e-5)


def test_the_last_of_equal_ids_counts(store):
    rows = unit(2)
    store.upsert(["same", "same"], rows)
    assert len(store) == 1
    assert store.scores(rows[1], ["same"])[0] == pytest.approx(1, abs=1e-5)


def test_what_was_removed_is_found_no_more(store):
    rows = unit(20)
    store.upsert(names(20), rows)
    store.remove(["t3", "t19", "never there", "t3"])
    assert store.ids() == set(names(20)) - {"t3", "t19"}
    assert len(store) == 18
    assert store.query(rows[3], 1)[0][0] != "t3"
    for place in (0, 18):
        assert store.query(rows[place], 1)[0][0] == f"t{place}"
    store.remove(names(20))
    assert store.ids() == set()
    store.upsert(["back"], rows[:1])
    assert store.query(rows[0], 3)[0][0] == "back"


def test_scores_stand_in_the_order_asked_and_unknown_ids_score_nothing(store):
    rows = unit(30)
    store.upsert(names(30), rows)
    asked = ["t9", "nobody", "t2", "t9"]
    found = store.scores(rows[2], asked)
    assert found.dtype == np.float32
    assert found == pytest.approx([rows[9] @ rows[2], 0, 1, rows[9] @ rows[2]], abs=1e-5)
    assert store.scores(rows[2], []).shape == (0,)


def test_nothing_to_do_is_done(store):
    store.upsert([], np.empty((0, DIM), dtype=np.float32))
    store.remove([])
    assert len(store) == 0


def test_a_zero_vector_is_kept_and_scores_nothing(store):
    store.upsert(["zero"], np.zeros((1, DIM), dtype=np.float32))
    assert store.query(unit(1)[0], 1) == [("zero", pytest.approx(0, abs=1e-6))]


def test_ids_may_be_any_text(store):
    odd = ["über/uns #1", "a b", "x" * 500, "中文"]
    store.upsert(odd, unit(4))
    assert store.ids() == set(odd)
    store.remove(odd[:2])
    assert store.ids() == set(odd[2:])


@pytest.mark.parametrize("rows", [unit(3)[:, :4], unit(2), np.full((3, DIM), np.nan, dtype=np.float32)])
def test_vectors_that_do_not_fit_are_refused_and_nothing_is_kept(store, rows):
    with pytest.raises(BadInput, match=r"vectors of shape \(3, 16\)|not finite"):
        store.upsert(names(3), rows)
    assert len(store) == 0


def test_a_question_that_does_not_fit_is_refused(store):
    store.upsert(names(3), unit(3))
    with pytest.raises(BadInput, match="one vector of 16 finite numbers"):
        store.query(np.ones(4, dtype=np.float32), 1)
    with pytest.raises(BadInput, match="one vector of 16 finite numbers"):
        store.scores(np.full(DIM, np.inf, dtype=np.float32), ["t1"])


# -- Chroma ---------------------------------------------------------------------------------------------


@needs_chroma
def test_more_than_one_batch_goes_in_and_out(tmp_path, monkeypatch):
    monkeypatch.setattr(chroma, "_PARAMETERS", 7)
    store, rows = ChromaVectors("enc@1", DIM, tmp_path), unit(40)
    store.upsert(names(40), rows)
    assert len(store) == 40
    assert store.scores(rows[0], names(40)) == pytest.approx(rows @ rows[0], abs=1e-5)
    store.remove(names(30))
    assert store.ids() == set(names(10, first=30))
    store.close()


@needs_chroma
def test_batches_are_within_what_chroma_takes(tmp_path):
    store = ChromaVectors("enc@1", DIM, tmp_path)
    assert 0 < store._open().batch <= store._open().client.get_max_batch_size()
    store.upsert(names(6_000), unit(6_000))
    assert len(store) == 6_000
    assert not store.scores(unit(1)[0], names(6_000, first=6_000)).any()
    store.close()


@needs_chroma
def test_what_was_kept_is_there_when_the_folder_is_opened_again(tmp_path):
    rows = unit(1_500)
    store = ChromaVectors("enc@1", DIM, tmp_path)
    store.upsert(names(1_500), rows)
    store.remove(names(10))
    store.close()
    again = ChromaVectors("enc@1", DIM, tmp_path)
    assert again.ids() == set(names(1_490, first=10))
    assert all(again.query(rows[place], 1)[0][0] == f"t{place}" for place in (10, 700, 1_499))
    again.close()


@needs_chroma
def test_another_encoders_vectors_are_refused_by_name(tmp_path):
    first = ChromaVectors("enc@1", DIM, tmp_path)
    first.upsert(["a"], unit(1))
    other = ChromaVectors("enc@2", DIM, tmp_path)
    with pytest.raises(BadInput, match=r"'texts' holds vectors of enc@1, not of enc@2"):
        other.upsert(["b"], unit(1))
    beside = ChromaVectors("enc@2", DIM, tmp_path, collection="others")
    beside.upsert(["b"], unit(1))
    assert (first.ids(), beside.ids()) == ({"a"}, {"b"})
    for each in (first, other, beside):
        each.close()


@needs_chroma
def test_two_clients_of_a_server_share_a_collection(url):
    one, two = (ChromaVectors("enc@1", DIM, url, collection="shared") for _ in range(2))
    one.upsert(["a"], unit(1))
    assert two.query(unit(1)[0], 1)[0][0] == "a"
    one.close()
    two.close()


@needs_chroma
def test_without_a_server_the_error_names_the_url():
    with pytest.raises(BadInput, match=r"no Chroma server answers at http://127\.0\.0\.1:9; .* chroma run"):
        len(ChromaVectors("enc@1", DIM, "http://127.0.0.1:9"))


@needs_chroma
def test_chroma_gets_no_embedding_function_and_reports_nothing(tmp_path):
    store = ChromaVectors("enc@1", DIM, tmp_path)
    opened = store._open()
    assert opened.collection._embedding_function is None
    assert opened.client.get_settings().anonymized_telemetry is False
    store.close()


def test_without_chromadb_the_error_is_the_pip_line(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "chromadb", None)
    with pytest.raises(MissingExtra, match=r"pip install 'ctxeng-framework\[vectors\]'"):
        ChromaVectors("enc@1", DIM, tmp_path).ids()


def test_importing_the_store_does_not_load_chromadb():
    code = "import sys, ctxeng.retrieval.chroma; print('chromadb' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
