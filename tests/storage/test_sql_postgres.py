"""PostgreSQL alone: refusals by name, a server that goes away, connections that run out."""

import threading
import time

import pytest

from ctxeng.errors import BadInput, StoreLocked, StoreUnreachable
from ctxeng.storage.sql import migrate, open_database
from ctxeng.storage.sql_postgres import PostgresDatabase

pytest_plugins = ("postgres",)

STEPS = (("CREATE TABLE notes (name TEXT PRIMARY KEY)",),)
ADD = "INSERT INTO notes (name) VALUES (?)"


@pytest.fixture
def url(postgres):
    with postgres.database() as url:
        yield url


@pytest.fixture
def notes(url):
    opened = open_database(url)
    migrate(opened, "notes", STEPS)
    yield opened
    opened.close()


def held(database):
    return database.attempt(lambda run: run("SELECT name FROM notes ORDER BY name"), write=False)


def test_a_wrong_password_is_refused_at_once_and_not_repeated(postgres, caplog):
    began = time.monotonic()
    with pytest.raises(BadInput, match=r"tester@127\.0\.0\.1.*authentication failed") as caught:
        open_database(postgres.url.replace(postgres.password, "%77rong-one"))
    assert time.monotonic() - began < 5
    assert "rong-one" not in f"{caught.value} {caught.value.__cause__} {caplog.text}"


def test_a_database_that_is_not_there_is_named(postgres):
    with pytest.raises(BadInput, match="nowhere"):
        open_database(postgres.url_of("nowhere"))


def test_a_database_of_another_encoding_is_refused(postgres):
    with postgres.database("LATIN1") as url, pytest.raises(BadInput, match=r"LATIN1.*UTF8"):
        open_database(url)


def test_the_password_is_in_no_name_and_no_repr(notes, postgres):
    assert postgres.password not in f"{notes!r} {notes.name}"
    assert notes.name.startswith("postgresql://tester@127.0.0.1:")


def test_a_connection_that_was_cut_while_idle_is_made_again(notes, url):
    notes.attempt(lambda run: run(ADD, ("a",)))
    other = open_database(url)
    cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    assert other.attempt(lambda run: run(f"{cut} AND datname = current_database()")) != [(0,)]
    with notes.transaction() as run:
        run(ADD, ("b",))
    assert held(notes) == [("a",), ("b",)]
    other.close()


def test_a_transaction_that_is_cut_is_run_again_by_attempt_and_said_by_transaction(notes):
    runs = []

    def work(run):
        run(ADD, ("a",))
        runs.append(1)
        if len(runs) == 1:
            run("SELECT pg_terminate_backend(pg_backend_pid())")

    notes.attempt(work)
    assert len(runs) == 2
    assert held(notes) == [("a",)]
    with pytest.raises(StoreUnreachable), notes.transaction() as run:
        run("SELECT pg_terminate_backend(pg_backend_pid())")


def test_deadlocked_transactions_both_come_through(notes):
    notes.attempt(lambda run: run.many(ADD, [("a",), ("b",)]))
    met = threading.Barrier(2)

    def work(first, second):
        waited = []

        def swap(run):
            run("UPDATE notes SET name = name WHERE name = ?", (first,))
            if not waited:
                waited.append(met.wait(10))
            run("UPDATE notes SET name = name || '!' WHERE name = ?", (second,))

        notes.attempt(swap)

    threads = [threading.Thread(target=work, args=pair) for pair in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(held(notes)) == 2


def test_more_threads_than_connections_wait_and_say_so(url):
    small = PostgresDatabase(url, patience=0.3, size=1)
    with small.transaction(), pytest.raises(StoreLocked, match="all 1 connections"):
        small.attempt(lambda run: run("SELECT 1"))
    assert small.attempt(lambda run: run("SELECT 1")) == [(1,)]
    small.close()


def test_a_server_that_stays_away_is_unreachable_after_the_patience_and_used_when_it_is_back(postgres, url):
    hasty = open_database(url, patience=0.5)
    migrate(hasty, "notes", STEPS)
    postgres.stop("immediate")
    try:
        with pytest.raises(StoreUnreachable) as caught:
            held(hasty)
        assert "not known" not in str(caught.value)
    finally:
        postgres.start()
    assert held(hasty) == []
    hasty.close()
