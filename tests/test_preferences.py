"""What each user likes, in an app: edits teach it, the next answer's window shows it, users stay apart."""

import pytest

from ctxeng.errors import BadInput
from ctxeng.models.scripted import ScriptedModel
from ctxeng.settings import open_app
from ctxeng.turn import Request, Scope, user

DRAFT = "Hello!\n\nWe are happy to tell you that your order has been shipped today!\n\nBest regards!"
EDIT = "Hello.\n\nWe are happy to tell you that your order has been shipped today.\n\nBest regards."


@pytest.fixture
def app(tmp_path):
    path = tmp_path / "mail.yaml"
    path.write_text(
        "ctxeng: 1\nplaybook: mail\nlog: turns.jsonl\n"
        "context: {sources: {preferences: {folder: ./preferences}}}\n"
    )
    return open_app(path, model=ScriptedModel(lambda *_: DRAFT, name="onbox"))


def ask(orchestrator, who, text="Write a mail: the order was shipped."):
    return orchestrator.invoke(Request(query=user(text), scope=Scope(tenant="acme", user=who)))


def notes(turn):
    return [s.body.text for s in turn.context.of("playbook") if s.source == "preferences"]


def test_an_edit_teaches_what_the_next_window_shows(app):
    with app.orchestrator() as orchestrator:
        turn = ask(orchestrator, "ada")
        learned = orchestrator.feedback(turn.id, edit=EDIT)
        assert learned.applied
        (note,) = notes(ask(orchestrator, "ada"))
        assert "exclamation" in note.lower()


def test_other_users_and_nobody_see_nothing_of_it(app):
    with app.orchestrator() as orchestrator:
        orchestrator.feedback(ask(orchestrator, "ada").id, edit=EDIT)
        assert notes(ask(orchestrator, "bob")) == []
        assert notes(ask(orchestrator, "")) == []


def test_the_same_edit_twice_is_learned_once(app):
    with app.orchestrator() as orchestrator:
        turn = ask(orchestrator, "ada")
        first = orchestrator.feedback(turn.id, edit=EDIT)
        again = orchestrator.feedback(turn.id, edit=EDIT)
        assert again.version == first.version


def test_what_was_learned_outlives_the_process_and_is_a_file_people_read(app, tmp_path):
    with app.orchestrator() as orchestrator:
        orchestrator.feedback(ask(orchestrator, "ada").id, edit=EDIT)
    (file,) = (tmp_path / "preferences").glob("*/preferences.yaml")
    assert "kind: preference" in file.read_text()
    again = open_app(app.path, model=ScriptedModel(lambda *_: DRAFT, name="onbox"))
    with again.orchestrator() as orchestrator:
        assert notes(ask(orchestrator, "ada"))


def test_an_edit_of_a_turn_without_an_answer_is_refused(app):
    model = ScriptedModel([RuntimeError("the wire broke")])
    broken = open_app(app.path, model=model)
    with broken.orchestrator() as orchestrator:
        with pytest.raises(RuntimeError):
            orchestrator.invoke(Request(query=user("hi"), scope=Scope(user="ada")), turn_id="broken")
        with pytest.raises(BadInput, match="nothing to edit"):
            orchestrator.feedback("broken", edit="better")
