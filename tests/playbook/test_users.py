"""One playbook a user: names that cannot collide or escape, stores that come and go, forgetting for good."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxeng.errors import BadInput, StoreLocked
from ctxeng.playbook.delta import Add
from ctxeng.playbook.entry import Entry, mint
from ctxeng.playbook.users import PreferenceBooks
from ctxeng.turn import Scope

ANN, BOB = Scope(tenant="acme", user="ann"), Scope(tenant="acme", user="bob")


def learn(books, scope, text):
    with books.lent(scope) as store:
        new = mint("preferences", text, store.playbook.taken)
        store.apply([Add(entry=Entry(id=new, kind="preference", text=text))], by="learn")


def texts(books, scope):
    with books.lent(scope) as store:
        return [entry.text for entry in store.playbook.own]


def everything(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


NAMES = st.text(max_size=30).filter(lambda text: text.isprintable())


@given(NAMES, NAMES.filter(bool), NAMES, NAMES.filter(bool))
def test_no_two_users_share_a_file_and_none_leaves_the_folder(tenant, name, other_tenant, other_name):
    folder = Path("books").resolve()
    books = PreferenceBooks(folder)
    path = books.path(Scope(tenant=tenant, user=name))
    assert path.resolve().parent.parent == folder
    assert path.parent.name.replace("-", "").isalnum()
    assert path.parent.name.isascii()
    other = books.path(Scope(tenant=other_tenant, user=other_name))
    assert (path == other) == ((tenant, name) == (other_tenant, other_name))


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "..", "C:\\x", "a\x00b", "x" * 5_000])
def test_a_name_that_is_a_path_is_only_a_name(tmp_path, name):
    books = PreferenceBooks(tmp_path / "books")
    learn(books, Scope(user=name), "short")
    assert [path.name for path in tmp_path.iterdir()] == ["books"]
    assert texts(books, Scope(user=name)) == ["short"]


def test_tenants_are_walls_and_sessions_are_not(tmp_path):
    books = PreferenceBooks(tmp_path)
    learn(books, ANN, "short")
    assert texts(books, Scope(tenant="other", user="ann")) == []
    assert texts(books, ANN.model_copy(update={"session": "s2"})) == ["short"]
    assert books.path(Scope(tenant="日", user="本語")) != books.path(Scope(tenant="日本", user="語"))
    assert books.path(Scope(tenant="a b", user="c")) != books.path(Scope(tenant="a", user="b c"))


def test_a_scope_without_a_user_is_refused(tmp_path):
    with pytest.raises(BadInput, match="scope with a user"):
        PreferenceBooks(tmp_path).path(Scope(tenant="acme"))


def test_what_was_learned_is_in_the_yaml_when_the_store_comes_back_and_after_a_restart(tmp_path):
    learn(PreferenceBooks(tmp_path), ANN, "short")
    assert "short" in PreferenceBooks(tmp_path).path(ANN).read_text()
    assert texts(PreferenceBooks(tmp_path), ANN) == ["short"]


def test_forgetting_leaves_no_byte_of_the_user_and_all_of_the_others(tmp_path):
    books = PreferenceBooks(tmp_path)
    learn(books, ANN, "the secret of ann")
    learn(books, BOB, "likes lists")
    assert b"secret" in everything(tmp_path)
    assert books.forget(ANN)
    assert b"secret" not in everything(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if "ann" in path.name]
    assert texts(books, BOB) == ["likes lists"]
    assert texts(books, ANN) == []
    assert not books.forget(Scope(user="nobody"))


def test_a_playbook_that_cannot_be_read_can_be_forgotten(tmp_path):
    books = PreferenceBooks(tmp_path)
    learn(books, ANN, "short")
    books.path(ANN).write_text("{ not: [yaml")
    assert books.forget(ANN)
    assert list(tmp_path.iterdir()) == []


def test_what_a_kill_left_half_forgotten_goes_at_the_next_start(tmp_path):
    (tmp_path / ".gone-1").mkdir()
    (tmp_path / ".gone-1" / "preferences.yaml").write_text("secret")
    PreferenceBooks(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_forgetting_waits_for_who_holds_it_and_says_so_after_the_timeout(tmp_path):
    books = PreferenceBooks(tmp_path, timeout=0.05)
    with books.lent(ANN), pytest.raises(StoreLocked, match="in use"):
        books.forget(ANN)
    patient = PreferenceBooks(tmp_path / "more")
    held, go = threading.Event(), threading.Event()

    def hold():
        with patient.lent(ANN) as store:
            held.set()
            go.wait(10)
            store.apply([Add(entry=Entry(id="preferences-aaaaa", text="late"))], by="learn")

    with ThreadPoolExecutor(2) as pool:
        holder = pool.submit(hold)
        assert held.wait(10)
        forgetting = pool.submit(patient.forget, ANN)
        assert not forgetting.done()
        go.set()
        holder.result()
        assert forgetting.result()
    assert b"late" not in everything(tmp_path)


def test_at_most_so_many_stay_open_and_the_least_recently_used_goes(tmp_path):
    books = PreferenceBooks(tmp_path, most=2)
    for name in "abcab":
        learn(books, Scope(user=name), f"{name} likes it")
        assert len(books._open) <= 2
    assert [name[0] for name in books._open] == ["a", "b"]
    with books.lent(Scope(user="a")), books.lent(Scope(user="b")), books.lent(Scope(user="c")):
        assert len(books._open) == 3, "what is lent is never closed"
    assert len(books._open) == 2
    books.close()
    assert not books._open


def test_threads_that_learn_at_once_lose_nothing(tmp_path):
    with PreferenceBooks(tmp_path, most=1) as books:
        users = [Scope(user=name) for name in ("a", "b", "c")]
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda n: learn(books, users[n % 3], f"wish {n}"), range(60)))
        for place, scope in enumerate(users):
            assert sorted(texts(books, scope)) == sorted(f"wish {n}" for n in range(place, 60, 3))
