"""`ctxeng memory`: what a person sees of sessions, finds, forgets, exports; bad input exits with 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ctxeng.cli.main import main
from ctxeng.settings import open_app
from ctxeng.turn import Scope, assistant, user


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "app.yaml"
    path.write_text(
        "ctxeng: 1\nplaybook: chat\nmodels: {answer: 'onbox:hashing'}\n"
        "context: {window: 4k, sources: {memory: {store: 'sqlite:./m.db'}}}\n"
    )
    app = open_app(path)
    for who in ("ada", "bob"):
        scope = Scope(user=who, session="monday")
        said = [("1", user(f"the code of {who} is 7351")), ("2", assistant("noted [bold]\x1b[31m"))]
        app.memory.source.keep(scope, said)
    app.memory.close()
    return str(path)


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(["memory", *arguments])
    said = capsys.readouterr()
    return stop.value.code, said.out, said.err


def test_sessions_are_listed(capsys, file):
    code, out, _ = run(capsys, "show", file)
    assert code == 0
    assert out.count("monday") == 2
    _, out, _ = run(capsys, "show", file, "--user", "ada", "--json")
    assert [row["user"] for row in json.loads(out)] == ["ada"]


def test_a_session_is_shown_as_its_window_without_driving_the_terminal(capsys, file):
    code, out, _ = run(capsys, "show", file, "--user", "ada", "--session", "monday")
    assert code == 0
    assert "the code of ada is 7351" in out
    assert "\x1b" not in out
    assert "[bold]" in out
    _, out, _ = run(capsys, "show", file, "--user", "ada", "--session", "monday", "--json")
    assert [row["id"] for row in json.loads(out)["shown"]] == ["m1", "m2"]


def test_a_users_facts_are_listed_with_what_they_were_before(capsys, file):
    app = open_app(Path(file))
    said = [("3", user("My deadline is Friday.")), ("4", user("I moved my deadline to Monday."))]
    app.memory.source.keep(Scope(user="ada", session="tuesday"), said)
    app.memory.close()
    out = run(capsys, "show", file, "--user", "ada")[1]
    assert "deadline: Monday" in out
    assert "earlier: Friday" in out
    assert "deadline" not in run(capsys, "show", file, "--user", "bob")[1]


def test_a_search_finds_one_users_words_alone(capsys, file):
    code, out, _ = run(capsys, "search", file, "code", "--user", "ada", "--json")
    assert code == 0
    (found,) = json.loads(out)
    assert "ada" in found["text"]
    assert "bob" not in out


def test_forgetting_asks_first(capsys, file, monkeypatch):
    monkeypatch.setattr("typer.confirm", lambda _: False)
    code, _, _ = run(capsys, "forget", file, "--user", "ada")
    assert code == 1
    assert "ada" in run(capsys, "show", file)[1]


def test_forgetting_one_user_leaves_the_other(capsys, file):
    code, out, _ = run(capsys, "forget", file, "--user", "ada", "--yes")
    assert code == 0
    assert "1 sessions" in out
    assert "2 records" in out
    listed = run(capsys, "show", file)[1]
    assert "bob" in listed
    assert "ada" not in listed


def test_a_session_is_exported_as_records_and_as_segments(capsys, file):
    options = ("--user", "ada", "--session", "monday")
    records = [json.loads(line) for line in run(capsys, "export", file, *options)[1].splitlines()]
    assert [record["number"] for record in records] == [1, 2]
    (segment,) = map(json.loads, run(capsys, "export", file, *options, "--segments")[1].splitlines())
    assert segment["cut"] == "open"
    assert len(segment["messages"]) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("show", "--session", "nope"), "no session 'nope'"),
        (("export", "--session", "nope"), "no session 'nope'"),
        (("forget",), "say whose"),
    ],
)
def test_bad_input_is_said_and_exits_with_two(capsys, file, arguments, says):
    name, *options = arguments
    code, _, err = run(capsys, name, file, *options)
    assert code == 2
    assert says in " ".join(err.split())


def test_a_file_without_a_store_is_told_what_to_write(capsys, tmp_path):
    path = tmp_path / "bare.yaml"
    path.write_text("ctxeng: 1\nplaybook: chat\n")
    code, _, err = run(capsys, "show", str(path))
    assert code == 2
    assert "sqlite:./memory.db" in err
