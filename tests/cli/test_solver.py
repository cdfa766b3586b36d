import json

from ctxeng.models.scripted import ScriptedModel
from ctxeng.playbook.store import PlaybookStore
from ctxeng.settings_models import Makers

REFLECTION = {"error": "the letter was wrong", "approach": "answer with the letter a", "insight": "it is a"}
CURATION = {"operations": [{"op": "add", "text": "Charged twice means a.", "when": "charged twice"}]}


def reply(context, ask):
    """Wrong at first, right once it is advised; a reflector and a curator too."""
    question = context.of("query")[-1].body.text
    system = "".join(section.body for section in context.of("system"))
    if question.startswith("You study"):
        return json.dumps(REFLECTION)
    if question.startswith("You keep"):
        return json.dumps(CURATION)
    return "a" if "answer with the letter a" in system else "b"


def test_ace_retries_with_the_reflectors_advice_and_curates_what_it_taught(cli, tmp_path, tasks, monkeypatch):
    model = ScriptedModel(reply)
    monkeypatch.setattr(Makers, "build", lambda *_: model)
    ran = cli(
        "learn", tmp_path / "b.yaml", tasks, "--model", "some/model", "--limit", 1, "--json", "--no-plot"
    )
    report = ran.lines[-1]
    assert report["accuracy"] == 0.0
    assert report["failures"] == []
    assert report["entries"]["after"] == 1
    assert PlaybookStore(tmp_path / "b.yaml").open().own[0].text == "Charged twice means a."
    asked = [context.of("query")[-1].body.text[:9] for context in model.seen]
    assert asked == ["Ticket 0:", "You study", "Ticket 0:", "You study", "You keep "]
    assert report["usage"]["answer"]["calls"] == 2
    assert report["usage"]["reflect"]["calls"] == 2


def test_a_reply_that_no_role_can_read_is_a_failure_in_the_report(cli, tmp_path, tasks, monkeypatch):
    monkeypatch.setattr(Makers, "build", lambda *_: ScriptedModel(lambda context, ask: "no idea"))
    ran = cli("learn", tmp_path / "b.yaml", tasks, "--model", "some/model", "--limit", 2, "--no-plot")
    assert ran.code == 0
    assert "2 failures while learning" in ran.out
    assert "reflect: " in ran.out
