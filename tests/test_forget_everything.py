"""Forgetting on request: afterwards no file of the app holds a byte of it, and all of others is there."""

from __future__ import annotations

import numpy as np
import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

from ctxeng.errors import BadInput
from ctxeng.forgetting import forget
from ctxeng.models.scripted import ScriptedModel
from ctxeng.retrieval.cache import VectorCache
from ctxeng.retrieval.embed import Embedder, HashingEmbedder
from ctxeng.settings import open_app
from ctxeng.turn import Call, Request, Scope, user

ADA, BOB = "zanzibar-7351-ada", "quetzal-9902-bob"
YAML = """
ctxeng: 1
playbook: chat
log: turns.jsonl
context:
  window: 2k
  reply: 100
  sources:
    memory:
      store: "sqlite:./memory.db"
      summarize: {when: "tokens > 300", keep: 60, room: 60}
      files: ./files
    preferences: {folder: ./preferences}
"""


def told(tmp_path, **options):
    """An app that two users told many things, in two sessions each."""
    path = tmp_path / "app.yaml"
    path.write_text(YAML)
    model = ScriptedModel(lambda context, _: "noted! " + context.of("query")[-1].body.text, name="onbox")
    app = open_app(path, model=model, **options)
    with app.orchestrator() as orchestrator:
        for who, secret in (("ada", ADA), ("bob", BOB)):
            for session in ("one", "two"):
                scope = Scope(tenant="acme", user=who, session=session)
                for number in range(8):
                    text = (
                        f"My code number {number} is {secret}-{number} and that is all I have to say today."
                    )
                    turn = orchestrator.invoke(Request(query=user(text), scope=scope))
            orchestrator.feedback(
                turn.id, edit=turn.answer.text.replace("noted! ", "") + f" Regards, {secret}"
            )
            call = {"command": "create", "path": "/memories/a.md", "file_text": secret}
            app.memory.files.run(Call(id="k", name="memory", arguments=call), Scope(tenant="acme", user=who))
    return open_app(path, model=model, **options)  # the app was stopped


def found_in(folder, marker):
    """The files that hold the marker, plain or escaped."""
    return [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and marker.encode() in path.read_bytes()
    ]


def test_no_file_holds_a_byte_of_a_forgotten_user_and_all_of_the_others_stays(tmp_path):
    app = told(tmp_path)
    before = found_in(tmp_path, BOB)
    assert {"memory.db", "turns.jsonl"} <= set(found_in(tmp_path, ADA))
    report = forget(app, Scope(tenant="acme", user="ada"))
    assert (report.sessions, report.turns, report.files) == (2, 16, 1)
    assert report.records == 32
    assert report.edits > 0
    assert report.facts > 0
    app.memory.close()
    assert found_in(tmp_path, ADA) == []
    assert found_in(tmp_path, BOB) == before


def test_one_session_is_forgotten_and_the_users_other_one_stays(tmp_path):
    app = told(tmp_path)
    forget(app, Scope(tenant="acme", user="ada", session="one"))
    left = app.memory.store.sessions(Scope(user="ada"))
    assert [each.scope.session for each in left] == ["two"]
    assert all(turn.request.scope.session == "two" for turn in app.log if turn.request.scope.user == "ada")


def test_checkpoints_and_bodies_of_the_user_go_too(tmp_path):
    with SqliteSaver.from_conn_string(str(tmp_path / "checkpoints.db")) as saver:
        app = told(tmp_path, checkpointer=saver)
        bodies = [name for name in found_in(tmp_path, ADA) if name.startswith(".ctxeng/bodies")]
        assert bodies
        report = forget(app, Scope(user="ada"))
        assert report.checkpoints == 16
        assert report.bodies >= len(bodies)
        app.memory.close()
        left = [name for name in found_in(tmp_path, ADA) if not name.startswith("checkpoints.db")]
        assert left == []
        assert [name for name in found_in(tmp_path, BOB) if name.startswith(".ctxeng/bodies")]
        threads = {t[0] for t in saver.conn.execute("SELECT DISTINCT thread_id FROM checkpoints")}
    assert threads == {turn.id for turn in app.log}


def test_a_live_index_finds_nothing_of_what_was_forgotten(tmp_path):
    app = told(tmp_path)
    mine = Scope(tenant="acme", user="ada")
    assert app.memory.recall.search(ADA, mine, 5)
    forget(app, mine)
    assert app.memory.recall.search(ADA, mine, 5) == []
    assert app.memory.recall.search(BOB, Scope(tenant="acme", user="bob"), 5)


def test_every_vector_of_the_users_texts_is_gone_also_of_passages_that_grew(tmp_path):
    encoder = Counted()
    app = told(tmp_path, encoder=encoder)
    for who in ("ada", "bob"):
        app.memory.recall.search("code", Scope(tenant="acme", user=who), 5)
    assert any(ADA in text and "\n" in text for text in encoder.known)
    forget(app, Scope(tenant="acme", user="ada"))
    assert not [text for text in encoder.known if ADA in text]
    assert [text for text in encoder.known if BOB in text]


class Counted(Embedder):
    """Hashed words instead of a model, with what a cache would hold of them."""

    def __init__(self) -> None:
        super().__init__(cache=None)
        object.__setattr__(self, "known", set())

    name = "counted"
    dim = HashingEmbedder().dim

    def embed(self, texts):
        self.known.update(texts)
        return HashingEmbedder().embed(texts)

    def forget(self, texts):
        self.known.difference_update(texts)


def test_everybody_is_not_forgotten_by_leaving_names_out(tmp_path):
    with pytest.raises(BadInput, match="say whose"):
        forget(told(tmp_path), Scope())


def test_vectors_of_forgotten_texts_are_in_no_file(tmp_path):
    cache = VectorCache(tmp_path / "vectors.sqlite", 4)
    rows = {bytes([n]) * 16: np.full(4, n + 0.12345, dtype=np.float32) for n in range(200)}
    cache.put(rows)
    gone = list(rows)[50:150]
    cache.remove(gone)
    assert set(cache.get(rows)) == set(rows) - set(gone)
    cache.close()
    for key in gone:
        assert not any(key in path.read_bytes() for path in tmp_path.iterdir())
