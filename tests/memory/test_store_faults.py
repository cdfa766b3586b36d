"""Several writers, kills, a server that goes away, commits whose answer is lost: nothing lost or doubled."""

import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import pytest

from ctxeng.memory.record import Cleared, Record
from ctxeng.memory.session import Session
from ctxeng.memory.store import SqlStore
from ctxeng.memory.stored import Fact
from ctxeng.message import user
from ctxeng.storage.sql import open_database
from ctxeng.storage.sql_sqlite import SqliteDatabase
from ctxeng.turn import Scope

pytest_plugins = ("postgres",)

ANN = Scope(tenant="t", user="ann", session="s")
APPENDS = """
import sys
from ctxeng.errors import Conflict
from ctxeng.memory.session import Session
from ctxeng.memory.store import SqlStore
from ctxeng.message import user
from ctxeng.storage.sql import open_database
from ctxeng.turn import Scope

url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
session = Session(SqlStore(open_database(url)), Scope(tenant="t", user="ann", session="s"), lambda message: 1)
print("ready", flush=True)
sys.stdin.readline()
for place in range(count):
    while True:
        try:
            (record,) = session.append([(f"{name}.{place}", user(f"{name} {place}"))])
            break
        except Conflict:  # the other one was first too many times
            pass
    print(record.number, flush=True)
"""


@pytest.fixture(params=["file", "postgres"])
def url(request, tmp_path):
    """A database that processes share."""
    if request.param == "postgres":
        with request.getfixturevalue("postgres").database() as url:
            yield url
    else:
        yield f"sqlite:{tmp_path}/kept.db"


@dataclass
class Unanswered(SqliteDatabase):
    """Every commit is kept, and its answer lost: the work is run once more."""

    def attempt(self, work, *, write=True):
        super().attempt(work, write=write)
        return super().attempt(work, write=write)


def writer(url, name, count):
    command = [sys.executable, "-c", APPENDS, url, name, str(count)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def begun(*writers):
    for each in writers:
        assert each.stdout.readline() == "ready\n"
    for each in writers:
        each.stdin.write("go\n")
        each.stdin.flush()


def record(number, text="hello", key=""):
    return Record(number=number, message=user(text), key=key)


def loaded(url):
    store = SqlStore(open_database(url))
    held = store.load(ANN)
    assert [each.record for each in store.arrived(ANN)] == list(held.records)
    store.close()
    return [record.message.text for record in held.records]


def test_two_processes_write_one_session_and_nothing_is_lost_or_doubled(url):
    first, second = writer(url, "a", 40), writer(url, "b", 40)
    begun(first, second)
    numbers = [int(line) for each in (first, second) for line in each.communicate(timeout=60)[0].split()]
    assert sorted(numbers) == list(range(1, 81))
    assert sorted(loaded(url)) == sorted(f"{name} {place}" for name in "ab" for place in range(40))


def test_two_sessions_of_one_process_take_turns(url):
    store = SqlStore(open_database(url))
    views = [Session(store, ANN, lambda message: 1) for _ in range(2)]
    for place in range(6):
        views[place % 2].append([("", user(f"{place}"))])
    assert loaded(url) == [f"{place}" for place in range(6)]
    store.close()


def test_a_killed_writer_loses_nothing_that_was_acknowledged(url):
    killed = writer(url, "a", 100_000)
    begun(killed)
    for _ in range(60):
        killed.stdout.readline()
    killed.kill()
    with killed:
        acknowledged = 60 + killed.stdout.read().count("\n")
    assert killed.returncode != 0
    texts = loaded(url)
    assert texts == [f"a {place}" for place in range(len(texts))]
    assert acknowledged <= len(texts) <= acknowledged + 1


def test_a_write_whose_answer_was_lost_is_made_once_and_answered():
    store = SqlStore(Unanswered())
    version = store.write(ANN, [record(1), record(2)], [Cleared(numbers=(1,))], 0)
    version = store.write(ANN, [record(3)], (), version)
    version = store.write(ANN, (), [Cleared(numbers=(2,))], version)
    held = store.load(ANN)
    assert held.version == version
    assert held.records == (record(1), record(2), record(3))
    assert held.edits == (Cleared(numbers=(1,)), Cleared(numbers=(2,)))
    store.close()


def test_others_may_write_before_a_lost_answer_is_asked_for_again():
    @dataclass
    class Between(SqliteDatabase):
        """After the first commit another writer is let in, then the work is run again."""

        between: object = None

        def attempt(self, work, *, write=True):
            done = super().attempt(work, write=write)
            if self.between and write:
                meanwhile, self.between = self.between, None
                meanwhile(done)
                return super().attempt(work, write=write)
            return done

    database = Between()
    store = SqlStore(database)
    database.between = lambda version: store.write(ANN, [record(2, "other")], (), version)
    version = store.write(ANN, [record(1)], (), 0)
    held = store.load(ANN)
    assert [each.message.text for each in held.records] == ["hello", "other"]
    assert version < held.version
    store.close()


def test_forgetting_whose_answer_was_lost_still_tells_the_texts():
    store = SqlStore(Unanswered())
    store.write(ANN, [record(1, "secret")], [Cleared(numbers=(1,))], 0)
    store.note(ANN, [Fact(subject="a", value="told")])
    assert store.facts(ANN) == [Fact(subject="a", value="told")]
    forgotten = store.forget(ANN.model_copy(update={"session": ""}))
    assert (forgotten.sessions, forgotten.records, forgotten.edits, forgotten.facts) == (1, 1, 1, 1)
    assert forgotten.texts == ("secret", "told")
    store.close()


def test_a_server_killed_twice_under_sixteen_sessions_loses_and_doubles_nothing(postgres):
    with postgres.database() as url:
        store = SqlStore(open_database(url, patience=60))
        scopes = [Scope(tenant="t", user=f"u{mine % 4}", session=f"s{mine}") for mine in range(16)]
        acknowledged = {scope: [] for scope in scopes}
        stop = threading.Event()

        def work(scope):
            version, number = 0, 0
            while not stop.is_set():
                number += 1
                # no key: only the write itself can know that it was made before
                version = store.write(scope, [record(number, f"{number}")], (), version)
                acknowledged[scope].append(f"{number}")

        threads = [threading.Thread(target=work, args=(scope,)) for scope in scopes]
        for thread in threads:
            thread.start()
        counts = []
        for _ in range(2):
            time.sleep(0.7)
            postgres.stop("immediate")
            counts.append(sum(map(len, acknowledged.values())))
            postgres.start()
        time.sleep(0.7)
        stop.set()
        for thread in threads:
            thread.join(90)
        assert 0 < counts[0] < counts[1] < sum(map(len, acknowledged.values()))
        for scope in scopes:
            assert [each.message.text for each in store.load(scope).records] == acknowledged[scope]
        store.close()
