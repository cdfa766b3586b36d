"""The SQL layer: what holds for SQLite and PostgreSQL alike, and bad URLs by name."""

import functools
import os
import threading
import time

import pytest

from ctxeng.errors import BadInput, Conflict, StoreLocked, StoreUnreachable
from ctxeng.storage.sql import migrate, open_database

pytest_plugins = ("postgres",)
# what is forked here uses no thread of its parent
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

STEPS = (("CREATE TABLE notes (id {serial}, name TEXT NOT NULL UNIQUE, text TEXT NOT NULL)",),)


@pytest.fixture
def database(database_url):
    opened = open_database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def notes(database):
    migrate(database, "notes", STEPS)
    return database


def add(run, name, text="x"):
    run("INSERT INTO notes (name, text) VALUES (?, ?)", (name, text))


def forked(work):
    """The id of a child that does this and ends, with status 0 where nothing was raised."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return child


def held(database):
    return [row[0] for row in database.attempt(lambda run: run("SELECT name FROM notes ORDER BY id"))]


def test_a_transaction_is_kept_whole(notes):
    with notes.transaction() as run:
        add(run, "a")
        run.many("INSERT INTO notes (name, text) VALUES (?, ?)", [("b", "%s ? 100%"), ("c", "")])
    with notes.reading() as run:
        assert run("SELECT name, text FROM notes WHERE name = ?", ("b",)) == [("b", "%s ? 100%")]
    assert held(notes) == ["a", "b", "c"]


def test_a_transaction_that_raises_leaves_nothing(notes):
    def fails():
        with notes.transaction() as run:
            add(run, "a")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert held(notes) == []


def test_a_broken_constraint_is_a_conflict_and_the_database_goes_on(notes):
    notes.attempt(lambda run: add(run, "a"))
    with pytest.raises(Conflict):
        notes.attempt(lambda run: [add(run, "b"), add(run, "a")])
    assert held(notes) == ["a"]


def test_a_value_that_no_column_holds_is_bad_input(notes):
    with pytest.raises(BadInput):
        notes.attempt(lambda run: add(run, "\ud800"))
    assert held(notes) == []


def test_a_statement_that_is_wrong_is_bad_input(database):
    with pytest.raises(BadInput, match="nowhere"):
        database.attempt(lambda run: run("SELECT x FROM nowhere"))


def test_migrating_twice_changes_nothing_and_a_further_step_is_made(notes):
    notes.attempt(lambda run: add(run, "a"))
    migrate(notes, "notes", STEPS)
    migrate(notes, "notes", (*STEPS, ("ALTER TABLE notes ADD COLUMN more TEXT NOT NULL DEFAULT 'm'",)))
    assert notes.attempt(lambda run: run("SELECT name, more FROM notes")) == [("a", "m")]


def test_a_step_that_fails_leaves_the_old_version(notes):
    broken = (*STEPS, ("CREATE TABLE other (x TEXT)", "CREATE TABLE notes (x TEXT)"))
    with pytest.raises(BadInput, match="notes"):
        migrate(notes, "notes", broken)
    with pytest.raises(BadInput):
        notes.attempt(lambda run: run("SELECT x FROM other"))
    migrate(notes, "notes", STEPS)


def test_a_newer_version_is_refused_by_name(notes):
    migrate(notes, "notes", (*STEPS, ()))
    with pytest.raises(
        BadInput, match=r"notes tables of version 2 are newer.*\(1\).*pip install -U"
    ) as caught:
        migrate(notes, "notes", STEPS)
    assert notes.name in str(caught.value)


def test_many_threads_write_and_nothing_is_lost(notes):
    def work(mine):
        for count in range(20):
            notes.attempt(lambda run, count=count: add(run, f"{mine}.{count}"))

    threads = [threading.Thread(target=work, args=(mine,)) for mine in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(held(notes)) == sorted(f"{mine}.{count}" for mine in range(12) for count in range(20))


def test_a_closed_database_says_so(database):
    database.close()
    with pytest.raises(BadInput, match="closed"):
        database.attempt(lambda run: run("SELECT 1"))


@pytest.mark.parametrize("kind", ["file", "postgres"])
def test_a_forked_child_makes_its_own_connection_and_leaves_the_parents(kind, request, tmp_path):
    if kind == "postgres":
        with request.getfixturevalue("postgres").database() as url:
            forks(open_database(url))
    else:
        forks(open_database("sqlite:./f.db", tmp_path))


def forks(database):
    migrate(database, "notes", STEPS)
    database.attempt(lambda run: add(run, "parent"))
    child = forked(lambda: database.attempt(lambda run: add(run, "child")))
    assert os.waitpid(child, 0)[1] == 0
    database.attempt(lambda run: add(run, "parent again"))
    assert held(database) == ["parent", "child", "parent again"]
    database.close()


def test_many_processes_open_a_new_file_at_once(tmp_path):
    def opens(url, start):
        while time.time() < start:
            pass
        migrate(open_database(url, tmp_path), "notes", STEPS)

    for place in range(8):
        work = functools.partial(opens, f"sqlite:./{place}.db", time.time() + 0.03)
        children = [forked(work) for _ in range(5)]
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * 5


@pytest.mark.parametrize(
    "url",
    ["memory.db", "sqlite:", "sqlite:///x.db", "mysql://u:hidden@h/d", "postgresql+x://u:hidden@h/d", ""],
)
def test_a_url_of_another_form_is_refused_with_the_forms_there_are(url, tmp_path):
    with pytest.raises(BadInput, match=r"sqlite:\./memory\.db") as caught:
        open_database(url, tmp_path)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hidden@[::1/d",
        "postgresql://u:hid@den@127.0.0.1/d",
        "postgresql://u:hid/den@127.0.0.1/d",
        "postgresql://u:hid?den@127.0.0.1/d",
        "postgresql://u:hid#den@127.0.0.1/d",
        "postgresql://u:hidden@127.0.0.1/d?nonsense=1",
        "postgresql://u:hidden@127.0.0.1:port/d",
    ],
)
def test_a_postgresql_url_that_cannot_be_read_tells_nothing_of_its_password(url):
    pytest.importorskip("psycopg")
    with pytest.raises(BadInput) as caught:
        open_database(url, patience=0)
    assert "hid" not in str(caught.value)
    assert "den" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "n.db").write_text("these are notes, not a database at all" * 100)
    with pytest.raises(BadInput, match=r"n\.db"):
        open_database("sqlite:n.db", tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadInput, match="folder"):
        open_database("sqlite:./folder", tmp_path)


def test_a_new_file_is_for_its_owner_only(tmp_path):
    open_database("sqlite:./n.db", tmp_path).close()
    assert (tmp_path / "n.db").stat().st_mode & 0o077 == 0


def test_a_file_that_another_holds_is_locked_after_the_patience(tmp_path):
    first, second = (open_database("sqlite:./n.db", tmp_path, patience=0.2) for _ in range(2))
    migrate(first, "notes", STEPS)
    with first.transaction() as run:
        add(run, "a")
        with pytest.raises(StoreLocked, match=r"n\.db"):
            second.attempt(lambda run: add(run, "b"))
        assert held_by_reading(second) == []
    first.close()
    second.close()


def held_by_reading(database):
    return database.attempt(lambda run: run("SELECT name FROM notes"), write=False)


def test_memory_does_not_cross_a_fork():
    database = open_database("sqlite::memory:")

    def refused():
        with pytest.raises(BadInput, match="use a file"):
            database.attempt(lambda run: run("SELECT 1"))

    child = forked(refused)
    assert os.waitpid(child, 0)[1] == 0
    database.close()


def test_no_server_is_unreachable_after_the_patience(tmp_path):
    pytest.importorskip("psycopg")
    with pytest.raises(StoreUnreachable, match=r"postgresql://u@127\.0\.0\.1:9/d") as caught:
        open_database("postgresql://u:hidden@127.0.0.1:9/d", patience=0.2)
    assert "hidden" not in str(caught.value)
