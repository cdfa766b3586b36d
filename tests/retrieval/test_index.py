import importlib.util
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxeng.errors import BadInput, StoreLocked
from ctxeng.retrieval import index as index_module
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.retrieval.fusion import ReciprocalRank
from ctxeng.retrieval.hybrid import Hybrid
from ctxeng.retrieval.index import Index
from ctxeng.retrieval.texts import Record
from ctxeng.retrieval.vectors import ExactVectors

pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning:chromadb.*")
needs_chroma = pytest.mark.skipif(
    importlib.util.find_spec("chromadb") is None, reason="extra vectors is not installed"
)

TEXTS = {
    "refund": "Customers get their money back within thirty days",
    "ship": "Orders are shipped to Norway by sea",
    "login": "Reset the password on the login page",
    "late": "A late order may be refunded by support",
}


@dataclass(frozen=True)
class Counting:
    """A hashing embedder that keeps what it was given; `label` makes it another one."""

    label: str = "one"
    given: list[str] = field(default_factory=list, compare=False)
    inner: HashingEmbedder = HashingEmbedder(64)

    @property
    def name(self):
        return f"{self.inner.name}-{self.label}"

    @property
    def dim(self):
        return self.inner.dim

    def embed(self, texts):
        self.given.extend(texts)
        return self.inner.embed(texts)


def records(texts=TEXTS):
    return [Record(name, text) for name, text in texts.items()]


@pytest.fixture(params=["memory", "folder", pytest.param("chroma", marks=needs_chroma)])
def opened(request, tmp_path):
    """Opens an index: in memory, in a folder with exact vectors, in a folder with Chroma."""
    kept = []

    def opening(embedder=None):
        embedder = embedder or Counting()
        store = ExactVectors(embedder.name, embedder.dim) if request.param == "folder" else None
        kept.append(Index(None if request.param == "memory" else tmp_path, embedder, store))
        return kept[-1]

    yield opening
    for index in kept:
        index.close()


def test_results_and_scores_are_those_of_hybrid(opened):
    index = opened()
    index.add(records())
    hybrid = Hybrid(list(TEXTS.values()), HashingEmbedder(64))
    for query in ("refund a late order", "password", "unheard-of"):
        want = [(list(TEXTS)[place], score) for place, score in hybrid.search(query, 3)]
        found = index.search(query, 3)
        assert [name for name, _ in found] == [name for name, _ in want]
        assert [score for _, score in found] == pytest.approx([score for _, score in want], abs=1e-5)
        assert index.scores(query, ["ship", "nobody", "late"]) == pytest.approx(
            [hybrid.scores(query)[1], 0, hybrid.scores(query)[3]], abs=1e-5
        )


def test_what_was_removed_or_changed_is_found_as_it_is_now(opened):
    index = opened()
    index.add(records())
    index.remove(["refund", "nobody"])
    index.add([Record("ship", "Refunds go out by bank transfer", payload="page 3")])
    assert index.ids() == ["login", "late", "ship"]
    assert len(index) == 3
    assert [name for name, _ in index.search("refunds by bank transfer", 2)] == ["ship", "late"]
    assert "ship" not in [name for name, _ in index.search("sea", 3)][:1]
    assert index.get(["ship", "refund"]) == {
        "ship": Record("ship", "Refunds go out by bank transfer", "page 3")
    }


def test_only_texts_that_are_new_or_changed_are_encoded(opened):
    embedder = Counting()
    index = opened(embedder)
    index.add(records())
    assert sorted(embedder.given) == sorted(TEXTS.values())
    embedder.given.clear()
    index.add([*records(), Record("login", TEXTS["login"], payload="moved"), Record("new", "Something new")])
    assert embedder.given == ["Something new"]
    assert index.get(["login"])["login"].payload == "moved"


def test_the_last_record_of_an_id_counts(opened):
    index = opened()
    index.add([Record("a", "apples"), Record("a", "pears")])
    assert index.get(["a"])["a"].text == "pears"
    assert index.search("apples", 5) == [] or index.search("pears", 5)[0][1] > index.search("apples", 5)[0][1]


def test_an_empty_index_finds_nothing(opened):
    index = opened()
    assert index.search("anything", 5) == []
    assert index.scores("anything", ["a"]).tolist() == [0]
    index.add([])
    index.remove([])
    assert index.ids() == []


a_step = st.one_of(
    st.dictionaries(
        st.sampled_from("abcdef"), st.sampled_from(["refund late", "late", "sea sea", ""]), max_size=3
    ),
    st.lists(st.sampled_from("abcdef"), max_size=2),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(a_step, max_size=8), st.sampled_from(["late refund", "sea", ""]))
def test_after_any_adds_and_removals_the_index_is_a_fresh_hybrid(steps, query):
    texts = {}
    with Index(None, HashingEmbedder(32)) as index:
        for step in steps:
            if isinstance(step, dict):
                index.add(records(step))
                for name, text in step.items():
                    if texts.get(name) != text:  # what does not change keeps its place
                        texts.pop(name, None)
                        texts[name] = text
            else:
                index.remove(step)
                for name in step:
                    texts.pop(name, None)
        assert index.ids() == list(texts)
        want = Hybrid(list(texts.values()), HashingEmbedder(32)).scores(query) if texts else []
        np.testing.assert_allclose(index.scores(query, list(texts)), want, atol=1e-5)


def test_without_an_embedder_words_alone_count():
    with Index() as index:
        index.add(records())
        hybrid = Hybrid(list(TEXTS.values()))
        assert index.search("late order", 4) == [
            (list(TEXTS)[place], pytest.approx(score)) for place, score in hybrid.search("late order", 4)
        ]


def test_ranks_can_be_fused_instead_of_scores():
    with Index(None, HashingEmbedder(64), fusion=ReciprocalRank()) as index:
        index.add(records())
        (first, score), *_ = index.search(TEXTS["late"], 2)
    assert first == "late"
    assert score == pytest.approx(2 / 61)


def test_a_store_of_another_encoder_is_refused():
    with pytest.raises(BadInput, match="the store has vectors of hashing-64, the embedder is hashing-32"):
        Index(None, HashingEmbedder(32), ExactVectors("hashing-64", 64))
    with pytest.raises(BadInput, match="the embedder is none"):
        Index(None, None, ExactVectors("hashing-64", 64))


def test_text_that_is_no_valid_unicode_is_refused_by_name():
    with pytest.raises(BadInput, match="'odd': this is no valid Unicode"):
        Record("odd", "half a pair: \ud83d")


# -- a folder -------------------------------------------------------------------------------------------


@needs_chroma
def test_a_folder_opened_again_finds_the_same_and_encodes_nothing(tmp_path):
    with Index(tmp_path, Counting()) as index:
        index.add(records())
        before = index.search("refund a late order", 4)
    embedder = Counting()
    with Index(tmp_path, embedder) as again:
        assert embedder.given == []
        assert again.search("refund a late order", 4) == [
            (name, pytest.approx(score, abs=1e-6)) for name, score in before
        ]
        assert again.ids() == list(TEXTS)


@needs_chroma
def test_vectors_that_are_lost_are_encoded_at_the_next_opening(tmp_path):
    with Index(tmp_path, Counting()) as index:
        index.add(records())
        index.vectors.remove(["2"])
    embedder = Counting()
    with Index(tmp_path, embedder) as again:
        assert embedder.given == [TEXTS["ship"]]
        assert len(again.vectors) == 4
    shutil.rmtree(tmp_path / "vectors")
    with Index(tmp_path, embedder) as again:
        assert len(again.vectors) == 4


@needs_chroma
def test_another_encoder_has_vectors_of_its_own(tmp_path):
    with Index(tmp_path, Counting("one")) as index:
        index.add(records())
    other = Counting("two")
    with Index(tmp_path, other) as index:
        assert sorted(other.given) == sorted(TEXTS.values())
        index.remove(["ship"])
    back = Counting("one")
    with Index(tmp_path, back) as index:
        assert back.given == []
        assert len(index.vectors) == 3


@pytest.mark.parametrize("damage", [b"no archive", b""])
def test_postings_that_are_damaged_are_made_anew(tmp_path, damage, caplog):
    with Index(tmp_path) as index:
        index.add(records())
        before = index.search("late order", 4)
    (tmp_path / "words.npz").write_bytes(damage)
    with Index(tmp_path) as again:
        assert again.search("late order", 4) == before
    assert "is of no use and made anew" in caplog.text


def test_postings_are_read_from_the_dump_and_follow_what_changed_since(tmp_path, monkeypatch):
    with Index(tmp_path) as index:
        index.add(records())
    dump = (tmp_path / "words.npz").read_bytes()
    with Index(tmp_path) as index:
        index.remove(["login"])
        index.add([Record("ship", "Shipping by air")])
        before = index.search("shipping password", 4)
    (tmp_path / "words.npz").write_bytes(dump)  # as if that process had been killed
    read = []
    terms = index_module.Texts.read
    monkeypatch.setattr(index_module.Texts, "read", lambda self, rows: read.extend(rows) or terms(self, rows))
    with Index(tmp_path) as again:
        assert again.search("shipping password", 4) == before
        assert read == [5]


def test_texts_that_are_lost_take_what_was_derived_from_them_along(tmp_path):
    with Index(tmp_path) as index:
        index.add(records())
    for file in tmp_path.glob("texts.sqlite*"):
        file.unlink()
    Index(tmp_path).close()
    with Index(tmp_path) as index:
        assert index.search("late order", 4) == []
        index.add([Record("other", "Nothing of the kind")])
        assert index.search("late order", 4) == []


def test_two_indexes_do_not_share_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(index_module, "_PATIENCE", 0.1)
    with Index(tmp_path), pytest.raises(StoreLocked):
        Index(tmp_path)
    Index(tmp_path).close()


def test_a_file_that_is_no_index_is_refused_by_name(tmp_path):
    (tmp_path / "texts.sqlite").write_bytes(b"something else entirely" * 100)
    with pytest.raises(BadInput, match=r"texts\.sqlite: cannot be read as an index"):
        Index(tmp_path)


def test_an_index_of_a_later_version_is_refused(tmp_path):
    Index(tmp_path).close()
    file = sqlite3.connect(tmp_path / "texts.sqlite")
    file.execute("PRAGMA user_version=9")
    file.close()
    with pytest.raises(BadInput, match="index 9 is newer than this library knows"):
        Index(tmp_path)


WRITER = """
import sys
from pathlib import Path
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.retrieval.index import Index
from ctxeng.retrieval.texts import Record

index, number = Index(Path(sys.argv[1]), HashingEmbedder(64)), int(sys.argv[2])
while True:
    index.add([Record(f"{number}-{row}", f"word{number} common{row} text") for row in range(60)])
    index.remove([f"{number}-0"])
    index.add([Record(f"{number}-1", f"changed{number}")])
    print(number, flush=True)
    number += 1
"""


@needs_chroma
def test_a_kill_loses_nothing_acknowledged_and_the_rest_is_made_whole(tmp_path):
    done = -1
    for wait in (6, 12):
        command = [sys.executable, "-c", WRITER, tmp_path, str(done + 1)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for _ in range(wait):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        done += wait + len(process.communicate()[0].split())
        with Index(tmp_path, HashingEmbedder(64)) as index:
            ids = set(index.ids())
            for batch in range(done + 1):
                assert {f"{batch}-{row}" for row in range(1, 60)} <= ids
                assert f"{batch}-0" not in ids
                assert index.search(f"changed{batch}", 1)[0] == (f"{batch}-1", pytest.approx(2, abs=1e-4))
            assert len(index.vectors) == len(index) == len(index._words)


def test_readers_and_writers_share_an_index():
    stop, failed = threading.Event(), []
    with Index(None, HashingEmbedder(32)) as index:
        index.add([Record(f"fixed{number}", f"anchor text {number}") for number in range(50)])

        def reads():
            while not stop.is_set():
                found = index.search("anchor text", 50)
                if {name for name, _ in found if name.startswith("fixed")} != {
                    f"fixed{n}" for n in range(50)
                }:
                    failed.append(found)

        with ThreadPoolExecutor(3) as pool:
            readers = [pool.submit(reads) for _ in range(2)]
            for round_ in range(60):
                index.add([Record(f"moving{number}", f"other words {round_}") for number in range(40)])
                index.remove([f"moving{number}" for number in range(40)])
            stop.set()
            for reader in readers:
                reader.result()
        assert failed == []
        assert len(index) == 50
