import multiprocessing
import sqlite3

import numpy as np

from ctxeng.retrieval.cache import VectorCache


def vector(value):
    return np.full(4, value, dtype=np.float32)


def test_what_was_put_is_there_for_the_next_process(tmp_path):
    first = VectorCache(tmp_path / "v.sqlite", dim=4)
    first.put({b"a": vector(1), b"b": vector(2)})
    first.close()
    second = VectorCache(tmp_path / "v.sqlite", dim=4)
    found = second.get([b"b", b"missing", b"a", b"a"])
    second.close()
    assert {key: row.tolist() for key, row in found.items()} == {b"b": [2.0] * 4, b"a": [1.0] * 4}


def test_without_a_file_it_remembers_in_memory():
    cache = VectorCache(None, dim=4)
    cache.put({b"a": vector(1)})
    assert list(cache.get([b"a", b"b"])) == [b"a"]


def test_memory_lets_the_oldest_go():
    cache = VectorCache(None, dim=4, limit=2)
    cache.put({b"a": vector(1), b"b": vector(2), b"c": vector(3)})
    assert list(cache.get([b"a", b"b", b"c"])) == [b"b", b"c"]


def test_a_corrupt_file_is_begun_anew(tmp_path, caplog):
    path = tmp_path / "v.sqlite"
    path.write_bytes(b"this was a database once " * 400)
    cache = VectorCache(path, dim=4)
    assert cache.get([b"a"]) == {}
    cache.put({b"a": vector(1)})
    cache.close()
    assert sqlite3.connect(path).execute("SELECT count(*) FROM vectors").fetchone() == (1,)
    assert "begun anew" in caplog.text


def test_a_file_that_cannot_be_opened_is_done_without(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    cache = VectorCache(tmp_path / "file" / "v.sqlite", dim=4)
    cache.put({b"a": vector(1)})
    assert list(cache.get([b"a"])) == [b"a"]
    assert "not usable" in caplog.text


def test_a_vector_of_another_length_does_not_count(tmp_path):
    cache = VectorCache(tmp_path / "v.sqlite", dim=2)
    cache.put({b"a": np.ones(2, dtype=np.float32)})
    cache.close()
    other = VectorCache(tmp_path / "v.sqlite", dim=4)
    assert other.get([b"a"]) == {}
    other.close()


def write_many(path, start):
    cache = VectorCache(path, dim=4)
    for number in range(start, start + 50):
        cache.put({str(number).encode(): vector(number)})
    cache.close()


def test_several_processes_write_one_file_and_nothing_is_lost(tmp_path):
    path = tmp_path / "v.sqlite"
    spawn = multiprocessing.get_context("fork")
    workers = [spawn.Process(target=write_many, args=(path, start)) for start in range(0, 200, 50)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    cache = VectorCache(path, dim=4)
    found = cache.get([str(number).encode() for number in range(200)])
    cache.close()
    assert len(found) == 200
