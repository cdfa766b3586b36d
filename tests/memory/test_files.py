"""The memory tool's files: what commands do, and that no path, link or size gets out of the folder."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctxeng.errors import BadInput
from ctxeng.memory.files import MEMORY_TOOL, MemoryFiles
from ctxeng.memory.files_path import within
from ctxeng.storage.lock import ProcessLock
from ctxeng.tools.functions import Functions
from ctxeng.turn import Call, Scope

ADA = Scope(tenant="acme", user="ada", session="monday")


@pytest.fixture
def files(tmp_path):
    return MemoryFiles(tmp_path / "memories")


def do(files, command, scope=ADA, **arguments):
    return files.run(Call(id="k", name="memory", arguments={"command": command, **arguments}), scope)


def written(files, path="/memories/a.md", text="one\ntwo\nthree"):
    assert not do(files, "create", path=path, file_text=text).is_error
    return path


def text_of(files, path="/memories/a.md", scope=ADA):
    said = do(files, "view", path=path, scope=scope).text
    return "\n".join(line.partition("\t")[2] for line in said.split("\n")[1:])


def test_a_file_is_created_and_viewed_with_line_numbers(files):
    written(files)
    assert (
        do(files, "view", path="/memories/a.md").text
        == "/memories/a.md:\n     1\tone\n     2\ttwo\n     3\tthree"
    )


def test_a_range_of_lines_is_viewed_to_the_end_with_minus_one(files):
    written(files)
    said = do(files, "view", path="/memories/a.md", view_range=[2, -1]).text
    assert said.split("\n")[1:] == ["     2\ttwo", "     3\tthree"]
    assert do(files, "view", path="/memories/a.md", view_range=[0, 9]).is_error


def test_a_folder_is_listed_two_levels_deep(files):
    written(files, "/memories/a/b/c.md")
    written(files, "/memories/top.md", "x" * 1_500)
    said = do(files, "view", path="/memories").text
    assert "/memories/a/b" in said
    assert "c.md" not in said
    assert "1,500 bytes\t/memories/top.md" in said


def test_an_empty_memory_can_be_viewed(files):
    assert not do(files, "view", path="/memories").is_error


def test_a_file_is_not_created_over_another(files):
    written(files)
    said = do(files, "create", path="/memories/a.md", file_text="new")
    assert said.is_error
    assert text_of(files) == "one\ntwo\nthree"


def test_a_text_that_stands_once_is_replaced(files):
    written(files)
    assert not do(files, "str_replace", path="/memories/a.md", old_str="two", new_str="2").is_error
    assert text_of(files) == "one\n2\nthree"


@pytest.mark.parametrize(("old", "says"), [("four", "0 times"), ("e", "3 times"), ("", "0 times")])
def test_a_text_that_stands_never_or_twice_is_not(files, old, says):
    written(files)
    said = do(files, "str_replace", path="/memories/a.md", old_str=old, new_str="x")
    assert said.is_error
    assert says in said.text
    assert text_of(files) == "one\ntwo\nthree"


@pytest.mark.parametrize(("line", "whole"), [(0, "new\none\ntwo\nthree"), (3, "one\ntwo\nthree\nnew")])
def test_text_is_inserted_behind_a_line(files, line, whole):
    written(files)
    do(files, "insert", path="/memories/a.md", insert_line=line, insert_text="new\n")
    assert text_of(files) == whole


def test_a_line_that_is_not_there_is_refused(files):
    written(files)
    assert "0 to 3" in do(files, "insert", path="/memories/a.md", insert_line=4, insert_text="x").text


def test_files_and_folders_are_deleted_and_the_root_is_not(files):
    written(files, "/memories/a/b.md")
    assert do(files, "delete", path="/memories").is_error
    assert not do(files, "delete", path="/memories/a").is_error
    assert do(files, "view", path="/memories/a/b.md").is_error
    assert do(files, "delete", path="/memories/a").is_error


def test_a_file_is_renamed_into_a_new_folder_and_never_over_another(files):
    written(files)
    written(files, "/memories/b.md", "b")
    assert not do(files, "rename", old_path="/memories/a.md", new_path="/memories/x/y.md").is_error
    assert do(files, "rename", old_path="/memories/x/y.md", new_path="/memories/b.md").is_error
    assert do(files, "rename", old_path="/memories/x", new_path="/memories/x/z").is_error
    assert text_of(files, "/memories/b.md") == "b"


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


def test_a_long_file_is_viewed_in_pages(tmp_path):
    files = MemoryFiles(tmp_path, page=100)
    written(files, "/memories/a", "\n".join(["line"] * 100))
    said = do(files, "view", path="/memories/a").text
    assert said.endswith("view the rest with view_range]")
    assert len(said) < 200


def test_errors_name_no_path_of_the_machine(files, tmp_path):
    for arguments in ({"path": "/memories/none"}, {"path": "/memories"}, {}):
        for command in ("view", "create", "str_replace", "insert", "delete", "rename", "other"):
            assert str(tmp_path) not in do(files, command, **arguments).text


def test_a_file_that_is_no_text_is_refused(files, tmp_path):
    written(files)
    (home,) = (tmp_path / "memories").iterdir()
    (home / "files" / "a.md").write_bytes(b"\xff\xfe\x00")
    assert "no text file" in do(files, "view", path="/memories/a.md").text


def test_other_calls_go_to_the_runner_behind(tmp_path):
    def add(a: int, b: int) -> int:
        """The sum."""
        return a + b

    files = MemoryFiles(tmp_path, Functions.of(add))
    call = Call(id="k", name="add", arguments={"a": 1, "b": 2})
    assert files.run(call, ADA).text == "3"
    assert asyncio.run(files.arun(call, ADA)).text == "3"
    assert MemoryFiles(tmp_path).run(call, ADA).is_error
    assert files.tools == (MEMORY_TOOL,)


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


def test_ends_of_lines_stay_as_they_were(files, tmp_path):
    written(files, text="one\r\ntwo\rthree\r\n")
    do(files, "insert", path="/memories/a.md", insert_line=0, insert_text="new")
    (home,) = (tmp_path / "memories").iterdir()
    assert (home / "files" / "a.md").read_bytes() == b"new\none\r\ntwo\rthree\r\n"


def test_a_listing_is_no_longer_than_a_page(tmp_path):
    files = MemoryFiles(tmp_path, page=200)
    for n in range(60):
        written(files, f"/memories/file{n:03}", "x")
    said = do(files, "view", path="/memories").text
    assert len(said) < 300
    assert "[cut here" in said


def test_a_line_longer_than_a_page_can_be_viewed_alone(tmp_path):
    files = MemoryFiles(tmp_path, page=100)
    written(files, "/memories/a", "x" * 500 + "END\nmore")
    assert "END" not in do(files, "view", path="/memories/a").text
    assert do(files, "view", path="/memories/a", view_range=[1, 1]).text.endswith("END")


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
