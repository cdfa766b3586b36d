"""Turns are logged as lines, found by id, and forgotten on request."""

import pytest

from ctxeng.errors import UnknownTurn
from ctxeng.record import RecentTurns, TurnLog
from ctxeng.turn import Answer, Context, Note, Request, Scope, Section, Turn, assistant, user


def turn(name, text="q", tenant=""):
    request = Request(query=user(text), scope=Scope(tenant=tenant))
    return Turn(id=name, request=request, answer=Answer(message=assistant("a")))


def test_the_last_line_of_an_id_is_the_one_that_counts(tmp_path):
    log = TurnLog(tmp_path / "turns.jsonl")
    log.observe(turn("a", "first"))
    log.observe(turn("b"))
    log.observe(turn("a", "second"))
    assert log.get("a").request.query.text == "second"
    assert [each.id for each in log] == ["a", "b"]


def test_another_process_lines_are_seen_and_a_torn_one_is_not(tmp_path):
    path = tmp_path / "turns.jsonl"
    reader = TurnLog(path)
    TurnLog(path).observe(turn("a"))
    assert reader.get("a").id == "a"
    with path.open("ab") as file:
        file.write(b'{"id":"torn","request"')
    with pytest.raises(UnknownTurn):
        reader.get("torn")


def test_forgetting_a_scope_leaves_nothing_of_it_in_the_file(tmp_path):
    log = TurnLog(tmp_path / "turns.jsonl")
    log.observe(turn("a", "the secret of ann", tenant="ann"))
    log.observe(turn("b", "something else", tenant="bob"))
    assert log.forget(Scope(tenant="ann")) == 1
    assert "secret" not in (tmp_path / "turns.jsonl").read_text()
    assert [each.id for each in log] == ["b"]


def test_in_memory_only_the_newest_turns_are_kept():
    log = RecentTurns(count=2)
    for name in "abc":
        log.observe(turn(name))
    assert log.get("c").id == "c"
    with pytest.raises(UnknownTurn):
        log.get("a")


def test_a_logged_turn_keeps_what_it_cited_and_the_least_trust_it_saw(tmp_path):
    notes = [
        Section(kind="playbook", source="playbook", body=Note(text=f"note {n}"), ref=f"n{n}", trust=trust)
        for n, trust in enumerate(["trusted", "trusted", "untrusted", "trusted"])
    ]
    given = turn("a").model_copy(
        update={
            "context": Context(sections=tuple(notes)),
            "answer": Answer(message=assistant("a"), cited=("n3",)),
        }
    )
    log = TurnLog(tmp_path / "turns.jsonl")
    log.observe(given)
    assert [section.ref for section in log.get("a").context.sections] == ["n0", "n2", "n3"]


def test_a_torn_last_line_takes_nothing_with_it(tmp_path):
    path = tmp_path / "turns.jsonl"
    TurnLog(path).observe(turn("a"))
    with path.open("ab") as file:
        file.write(b'{"id":"torn","request":{"que')
    log = TurnLog(path)
    log.observe(turn("b, with a comma"))
    assert [each.id for each in log] == ["a", "b, with a comma"]
    assert log.get("b, with a comma").id == "b, with a comma"
