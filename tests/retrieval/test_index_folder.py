import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ctxeng.errors import BadInput, StoreLocked
from ctxeng.retrieval import index as index_module
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.retrieval.index import Index
from ctxeng.retrieval.texts import Record
from indexed import TEXTS, Counting, needs_chroma, records

pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning:chromadb.*")


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
