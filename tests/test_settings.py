"""One YAML file becomes an app; every fault in it is named with its place."""

import jsonschema
import pytest
import yaml

from ctxeng.errors import BadPlaybook, BadSettings, DeltaRefused, MissingKey, NewerPlaybook, UnknownName
from ctxeng.models.roles import Fallback
from ctxeng.models.scripted import ScriptedModel
from ctxeng.playbook.delta import Remove
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.settings import App, open_app, read
from ctxeng.settings_schema import json_schema
from ctxeng.turn import Request, user


def write(folder, text, name="app.yaml"):
    path = folder / name
    path.write_text(text)
    return path


def build(path):
    """Everything a file describes is built when it is asked for."""
    app = open_app(path)
    return app.models, app.steps


def test_an_empty_file_is_an_app_that_runs_on_the_embedded_default(tmp_path):
    app = open_app(write(tmp_path, ""))
    assert app.models.role("answer").name == "onbox"
    assert app.learner.name == "onbox"


def test_amounts_are_read_as_people_write_them(tmp_path):
    settings = read(
        write(tmp_path, "context: {window: 32k, reply: 1.5k, sources: {playbook: {share: 15%, min: 300}}}")
    )
    assert (settings.context.window, settings.context.reply) == (32_000, 1_500)
    assert settings.context.sources.playbook.share == pytest.approx(0.15)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("context:\n  window: lots\n", BadSettings, r"app.yaml:2:11: context.window"),
        ("context:\n  widnow: 32k\n", BadSettings, r"app.yaml:2:11: context.widnow"),
        ("learning: {strategy: magic}", UnknownName, "known: ace, auto, onbox"),
        ("learning: {judge: jury}", UnknownName, "known: contains, exact, none, numeric, overlap"),
        ("models: {answer: gpt}", UnknownName, "known: .*<provider>/<model>"),
        ("graph: {without: [answer]}", UnknownName, "known: act, chunks, graph, memory"),
        ("graph: {before: {act: a:b}}", UnknownName, "known: answer, assemble"),
        ("graph: {before: {answer: nowhere:f}}", UnknownName, "package.module:function"),
        ("a: [1\nb: 2", BadPlaybook, r"app.yaml:2:"),
        ("prompts: ./nowhere", BadSettings, "there is no folder"),
        ("context: {window: 0}", BadSettings, r"context.window: Input should be greater than 0"),
        ("ctxeng: 99", NewerPlaybook, "pip install -U"),
        (
            "context: {sources: {playbook: {share: 70%}, chunks: {share: 60%}}}",
            BadSettings,
            "1.30, more than 1",
        ),
    ],
)
def test_a_fault_is_named_with_its_place_and_the_way_out(tmp_path, text, error, said):
    with pytest.raises(error, match=said):
        build(write(tmp_path, text))


def test_a_missing_key_is_named_and_its_value_is_never_shown(tmp_path, monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    path = write(tmp_path, "models: {answer: {id: openai/gpt-4o, key_env: MY_KEY}}")
    with pytest.raises(MissingKey, match="MY_KEY is not set"):
        open_app(path).models  # noqa: B018 - built when asked for
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    assert "very-secret" not in repr(open_app(path).models)


def test_a_fallback_is_a_chain_of_models(tmp_path):
    app = open_app(write(tmp_path, "models: {answer: {id: openai/gpt-4o, fallback: [onbox]}}"))
    assert isinstance(app.models.role("answer"), Fallback)


def test_roles_inherit_reflect_from_answer_and_the_others_from_reflect(tmp_path):
    models = open_app(write(tmp_path, "models: {answer: openai/gpt-4o, reflect: openai/gpt-4o-mini}")).models
    assert models.role("curate").name == models.role("reflect").name != models.role("answer").name


def test_an_extended_file_brings_entries_and_no_authority(tmp_path):
    write(
        tmp_path,
        "models: {answer: openai/evil}\ngraph: {before: {answer: os:system}}\nextends: [/etc/passwd]\n"
        "entries:\n  - {id: style-k7q2m, text: Be brief.}\n",
        "house.yaml",
    )
    app = open_app(write(tmp_path, "extends: [./house.yaml]\n"))
    assert [entry.text for entry in app.store.playbook.entries] == ["Be brief."]
    assert app.models.role("answer").name == "onbox"
    assert app.steps.hooks == {}
    with pytest.raises(DeltaRefused, match=r"read-only|extended"):
        app.store.apply([Remove(id="style-k7q2m")], by="person:ann")


def test_a_source_can_be_ablated_from_yaml(tmp_path):
    path = write(tmp_path, "graph: {without: [playbook]}\nentries:\n  - {id: style-k7q2m, text: Be brief.}\n")
    model = ScriptedModel(["ok"])
    App(path, read(path), model).orchestrator().invoke(Request(query=user("hi")))
    assert model.seen[0].of("playbook") == ()


def test_entries_reach_the_window_with_the_request_to_cite_them(tmp_path):
    path = write(
        tmp_path, "context: {system: Help people.}\nentries:\n  - {id: style-k7q2m, text: Be brief.}\n"
    )
    model = ScriptedModel(["Short.\nCited: [style-k7q2m]"])
    turn = App(path, read(path), model).orchestrator().invoke("hi")
    assert (turn.answer.text, turn.answer.cited) == ("Short.", ("style-k7q2m",))
    assert "Help people." in model.seen[0].of("system")[0].body
    assert turn.playbooks[0].startswith("app@")


def test_prompts_can_be_the_users_own(tmp_path):
    write(tmp_path, "", "cite.md")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "cite.md").write_text("Name your sources.")
    path = write(tmp_path, "prompts: ./mine")
    assert "Name your sources." in App(path, read(path), ScriptedModel([])).steps.assembler.instructions


def test_the_json_schema_accepts_what_the_settings_accept(tmp_path):
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    text = (
        "ctxeng: 1\nmodels: {answer: {id: a/b, fallback: onbox}}\n"
        "context: {window: 32k, sources: {chunks: {share: 5%}}}"
    )
    jsonschema.validate(yaml.safe_load(text), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"context": {"widnow": 1}}, schema)


def test_a_fallback_has_an_address_and_a_key_of_its_own_and_stands_in_for_a_missing_key(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.delenv("FIRST_KEY", raising=False)
    monkeypatch.setenv("SECOND_KEY", "sk-second")
    path = write(
        tmp_path,
        """\
models:
  answer:
    id: openai/first
    key_env: FIRST_KEY
    fallback: [{id: openai/second, base_url: "http://127.0.0.1:9", key_env: SECOND_KEY}, onbox]
""",
    )
    chain = open_app(path).models.role("answer")
    assert [model.name for model in chain.models] == ["openai/second", "onbox"]
    assert chain.models[0].api_key == "sk-second"
    assert "FIRST_KEY is not set; openai/second answers instead" in caplog.text


def test_the_embedded_model_runs_without_an_encoders_weights(tmp_path):
    app = open_app(write(tmp_path, "models: {answer: onbox:hashing}"))
    model = app.models.role("answer")
    assert model.name == "onbox"
    assert isinstance(model.embedder, HashingEmbedder)
    assert app.learner.name == "onbox"
