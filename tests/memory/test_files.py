"""The memory tool's files: what each command does, and says."""

from __future__ import annotations

import asyncio

import pytest

from ctxeng.memory.files import MEMORY_TOOL, MemoryFiles
from ctxeng.tools.functions import Functions
from ctxeng.turn import Call
from memory_files import ADA, do, text_of, written


@pytest.fixture
def files(tmp_path):
    return MemoryFiles(tmp_path / "memories")


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


def test_a_long_file_is_viewed_in_pages(tmp_path):
    files = MemoryFiles(tmp_path, page=100)
    written(files, "/memories/a", "\n".join(["line"] * 100))
    said = do(files, "view", path="/memories/a").text
    assert said.endswith("view the rest with view_range]")
    assert len(said) < 200


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
