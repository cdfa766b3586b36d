import json

import pytest

from ctxeng.chunks.iterate.iterdrag import IterDrag
from ctxeng.chunks.selectors.mcts import Mcts
from ctxeng.chunks.source import ChunkSource
from ctxeng.errors import BadInput, BadSettings
from ctxeng.models.scripted import ScriptedModel
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.settings import open_app
from ctxeng.settings_schema import json_schema
from ctxeng.turn import Chunk

YAML = """\
playbook: help
context:
  sources:
    chunks:
      from: ./docs
      select: mcts
      reward: coverage
      order: ends
      iterations: 50
      {more}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "refunds.md").write_text("# Refunds\n\nRefunds take ten days. They are free.\n")
    (tmp_path / "docs" / "rooms.md").write_text("# Rooms\n\nThe blue room seats forty.\n")
    return tmp_path


def app(folder, more="", **options):
    (folder / "app.yaml").write_text(YAML.format(more=more))
    return open_app(folder / "app.yaml", encoder=HashingEmbedder(64), **options)


def test_a_turn_sees_the_documents_that_its_file_names(folder):
    model = ScriptedModel(["ten days"])
    with app(folder, model=model).orchestrator() as opened:
        turn = opened.invoke("How long do refunds take?")
    shown = [s.body for s in turn.context.of("chunk") if isinstance(s.body, Chunk)]
    assert any("ten days" in chunk.text for chunk in shown)
    assert {chunk.source for chunk in shown} <= {"refunds.md", "rooms.md"}
    assert (folder / ".ctxeng" / "chunks" / "texts.sqlite").is_file()


def test_the_options_reach_the_selector(folder):
    source = app(folder).sources["chunks"]
    assert isinstance(source, ChunkSource)
    assert isinstance(source.selector.selector, Mcts)
    assert source.selector.selector.search.iterations == 50
    assert source.selector.order == "ends"


def test_an_index_in_memory_leaves_no_files(folder):
    source = app(folder, "index: memory").sources["chunks"]
    assert len(source.corpus) > 0
    assert not (folder / ".ctxeng" / "chunks").exists()


def test_a_method_that_asks_a_model_is_a_step_before_assembly(folder):
    (step,) = app(folder, "prepare: iterdrag\n      prepare_cap: 4k").steps.prepares
    assert isinstance(step, IterDrag)
    assert step.cap == 4_000
    assert step.search is not None
    assert app(folder).steps.prepares == ()


def test_a_file_of_triples_is_a_source_of_its_own(folder):
    (folder / "facts.csv").write_text("subject,relation,object\naspirin,treats,headache\n")
    (folder / "app.yaml").write_text("playbook: p\ncontext: {sources: {graph: {from: facts.csv}}}\n")
    opened = open_app(folder / "app.yaml", model=ScriptedModel(["yes"]), encoder=HashingEmbedder(64))
    with opened.orchestrator() as running:
        turn = running.invoke("Does aspirin help against headache?")
    assert any(section.source == "graph" for section in turn.context.sections)


def test_folders_that_are_not_there_are_named_when_they_are_needed(folder):
    (folder / "app.yaml").write_text("playbook: p\ncontext: {sources: {chunks: {from: ./nowhere}}}\n")
    opened = open_app(folder / "app.yaml", model=ScriptedModel(["x"]))
    with opened.orchestrator() as running, pytest.raises(BadInput, match="nowhere"):
        running.invoke("hello?")


@pytest.mark.parametrize("more", ["unit: word", "size: 3", "least: 2", "prepare: magic", "colour: red"])
def test_wrong_options_are_refused_with_their_place(folder, more):
    with pytest.raises(BadSettings, match=r"app\.yaml"):
        app(folder, more)


def test_the_schema_for_editors_says_from():
    assert '"from"' in json.dumps(json_schema())
