"""The memory tool's files: no path, link, size or neighbour gets out of a user's folder."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctxeng.errors import BadInput
from ctxeng.memory.files import MemoryFiles
from ctxeng.memory.files_path import within
from ctxeng.storage.lock import ProcessLock
from ctxeng.turn import Scope
from memory_files import ADA, do, text_of, written


@pytest.fixture
def files(tmp_path):
    return MemoryFiles(tmp_path / "memories")


@pytest.mark.parametrize(
    "path",
    [
        "/memories/../secret",
        "/memories/a/../../secret",
        "/memories/..",
        "/etc/passwd",
        "/memoriesx/a",
        "memories/a",
        "/memories/.hidden",
        "/memories/a\\..\\b",
        "/memories/a\x00b",
        "/memories/c:d",
        "/memories/" + "x" * 200,
        "/memories/" + "/".join("abcdefghij"),
        "/memories/a\nb",
        " /memories/a",
        "",
    ],
)
def test_no_path_leads_out(files, tmp_path, path):
    (tmp_path / "secret").write_text("top secret")
    for command in ("view", "create", "str_replace", "delete"):
        said = do(files, command, path=path, file_text="x", old_str="top", new_str="x") if path else None
        assert path == "" or said.is_error
    assert do(files, "create", path=path, file_text="x").is_error
    assert (tmp_path / "secret").read_text() == "top secret"


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(max_size=60))
def test_whatever_a_model_writes_as_a_path_stays_inside(tmp_path, tail):
    root = tmp_path / "root"
    try:
        path = within(root, f"/memories/{tail}")
    except BadInput:
        return
    assert Path(path).resolve().is_relative_to(root.resolve())


def test_links_are_not_followed(files, tmp_path):
    written(files, "/memories/real.md", "mine")
    (home,) = (tmp_path / "memories").iterdir()
    secret = tmp_path / "outside"
    secret.mkdir()
    (secret / "s.md").write_text("top secret")
    (home / "files" / "link").symlink_to(secret)
    for said in (
        do(files, "view", path="/memories/link/s.md"),
        do(files, "create", path="/memories/link/new.md", file_text="x"),
        do(files, "delete", path="/memories/link"),
    ):
        assert said.is_error
        assert "link" in said.text
    assert "link" not in do(files, "view", path="/memories").text
    assert [each.name for each in secret.iterdir()] == ["s.md"]


def test_two_users_share_nothing_whatever_they_are_called(files):
    odd = Scope(tenant="acme/ada", user="", session="")
    written(files)
    for other in (Scope(tenant="acme", user="bob"), Scope(user="ada"), odd, Scope(tenant="..", user="/")):
        assert do(files, "view", scope=other, path="/memories/a.md").is_error
    assert text_of(files, scope=ADA.model_copy(update={"session": "tuesday"})) == "one\ntwo\nthree"


def test_too_much_is_refused_and_nothing_is_written(tmp_path):
    files = MemoryFiles(tmp_path, longest=10, most=2)
    assert "10 fit" in do(files, "create", path="/memories/a", file_text="x" * 11).text
    written(files, "/memories/a", "x")
    written(files, "/memories/b", "x")
    assert "2 files and folders already" in do(files, "create", path="/memories/c", file_text="x").text
    assert do(files, "insert", path="/memories/a", insert_line=0, insert_text="x" * 20).is_error
    assert text_of(files, "/memories/a") == "x"


def test_errors_name_no_path_of_the_machine(files, tmp_path):
    for arguments in ({"path": "/memories/none"}, {"path": "/memories"}, {}):
        for command in ("view", "create", "str_replace", "insert", "delete", "rename", "other"):
            assert str(tmp_path) not in do(files, command, **arguments).text


def test_a_file_that_is_no_text_is_refused(files, tmp_path):
    written(files)
    (home,) = (tmp_path / "memories").iterdir()
    (home / "files" / "a.md").write_bytes(b"\xff\xfe\x00")
    assert "no text file" in do(files, "view", path="/memories/a.md").text


def test_threads_that_write_at_once_lose_nothing(files):
    written(files, "/memories/log", "")
    threads = [
        threading.Thread(
            target=lambda n=n: do(
                files, "insert", path="/memories/log", insert_line=0, insert_text=f"line {n}"
            )
        )
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(text_of(files, "/memories/log").split("\n")) == {f"line {n}" for n in range(12)} | {""}


def test_forgetting_removes_one_users_files_alone(files):
    written(files)
    bob = Scope(tenant="acme", user="bob")
    do(files, "create", scope=bob, path="/memories/b", file_text="bob's")
    assert files.forget(ADA) == 0  # a session has no files of its own
    assert files.forget(Scope(user="ada")) == 1
    assert files.forget(Scope(user="ada")) == 0
    assert do(files, "view", path="/memories/a.md").is_error
    assert text_of(files, "/memories/b", bob) == "bob's"


def test_files_that_another_holds_too_long_are_a_result(files, tmp_path, monkeypatch):
    written(files)
    (home,) = (tmp_path / "memories").iterdir()
    monkeypatch.setattr("ctxeng.memory.files.ProcessLock", lambda path: ProcessLock(path, timeout=0.05))
    with ProcessLock(home / "lock"):
        said = do(files, "view", path="/memories")
    assert said.is_error
    assert str(tmp_path) not in said.text


def test_folders_count_too(tmp_path):
    files = MemoryFiles(tmp_path, most=3)
    written(files, "/memories/a/f", "x")
    assert do(files, "create", path="/memories/b/g", file_text="x").is_error
    assert not do(files, "rename", old_path="/memories/a/f", new_path="/memories/b/f").is_error
    assert do(files, "rename", old_path="/memories/b/f", new_path="/memories/c/f").is_error


def test_nothing_is_moved_deeper_than_a_path_reaches(files):
    written(files, "/memories/a/b/c/d")
    assert do(files, "rename", old_path="/memories/a", new_path="/memories/1/2/3/4/5/6").is_error
    assert not do(files, "rename", old_path="/memories/a", new_path="/memories/1/2/3/4/5").is_error
    assert text_of(files, "/memories/1/2/3/4/5/b/c/d") == "one\ntwo\nthree"
