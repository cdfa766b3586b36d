"""Memory in a settings file: every option builds what it says, and contradictions are named."""

from __future__ import annotations

import pytest

from ctxeng.errors import BadInput, BadSettings, MissingKey
from ctxeng.memory.aside import SetAside
from ctxeng.memory.clear import ClearToolUses
from ctxeng.memory.compaction import Compaction
from ctxeng.memory.extract import ExtractiveSummarizer
from ctxeng.memory.policy import Worth
from ctxeng.memory.recent import RecentHistory
from ctxeng.memory.source import MemorySource
from ctxeng.memory.summarize import ModelSummarizer
from ctxeng.memory.trigger import Any, Condition
from ctxeng.models.scripted import ScriptedModel
from ctxeng.settings import open_app
from ctxeng.turn import Request, Scope, user


def app(tmp_path, memory, *, window="8k", name="onbox", **options):
    path = tmp_path / "app.yaml"
    path.write_text(
        "ctxeng: 1\nplaybook: chat\n"
        f"context: {{window: {window}, reply: 100, sources: {{memory: {memory}}}}}\n"
    )
    return open_app(path, model=ScriptedModel(["ok"] * 9, name=name), **options)


def policies(opened):
    return {type(policy): policy for policy in opened.memory.policies}


def test_without_a_store_memory_is_what_a_request_brings(tmp_path):
    assert app(tmp_path, "{count: 3}").sources["memory"] == RecentHistory(3)


def test_with_a_store_it_keeps_sessions_and_summarises_at_a_quarter_of_the_window(tmp_path):
    opened = app(tmp_path, "{store: 'sqlite:./m.db'}")
    assert isinstance(opened.sources["memory"], MemorySource)
    found = policies(opened)
    assert found[Compaction].trigger == Condition("tokens", 2_000)
    assert (found[Compaction].keep, found[Compaction].room) == (333, 250)
    assert found[SetAside].most == 500
    assert isinstance(found[Compaction].summarizer, ExtractiveSummarizer)


def test_a_language_model_summarises_where_there_is_one(tmp_path):
    opened = app(tmp_path, "{store: 'sqlite:./m.db'}", name="scripted")
    assert isinstance(policies(opened)[Compaction].summarizer, ModelSummarizer)


def test_every_option_reaches_its_part(tmp_path):
    opened = app(
        tmp_path,
        "{store: 'sqlite:./m.db', recall: 0, edits: true, ask: true, aside: 300,"
        " summarize: {when: 'tokens > 1k or turns > 9', keep: 100, room: 90, chunk: 700, rounds: 2},"
        " clear: {trigger: 'tokens > 900', keep: 1, clear_at_least: 50, exclude_tools: notes, pays: 7}}",
    )
    found = policies(opened)
    assert found[Compaction].trigger == Any((Condition("tokens", 1_001), Condition("turns", 10)))
    assert (found[Compaction].chunk, found[Compaction].rounds) == (700, 2)
    assert found[ClearToolUses] == ClearToolUses(
        Condition("tokens", 901), 1, 50, ("notes",), clear_tool_inputs=False, worth=Worth(7)
    )
    assert list(found) == [SetAside, ClearToolUses, Compaction]
    source = opened.sources["memory"]
    assert source.recall is None
    assert source.edits
    assert source.asks
    assert opened.memory.memory.marked


def test_summaries_can_be_switched_off(tmp_path):
    assert Compaction not in policies(app(tmp_path, "{store: 'sqlite:./m.db', summarize: false}"))


@pytest.mark.parametrize(
    ("memory", "says"),
    [
        ("{edits: true}", "`edits` needs a `store`"),
        ("{retain: 3}", "`retain` needs a `store`"),
        ("{store: 'sqlite:./m.db', count: 3}", "`count` is for a memory without"),
        ("{store: 'sqlite:./m.db', store_env: URL}", "exclude each other"),
        ("{store: 'sqlite:./m.db', summarize: {when: 'token > 3'}}", "tokens, messages, turns"),
        ("{store: 'sqlite:./m.db', clear: {trigger: 'tokens <> 3'}}", "not understood"),
    ],
)
def test_a_contradiction_is_named_with_its_file_and_line(tmp_path, memory, says):
    with pytest.raises(BadSettings, match=r"app\.yaml:3") as error:
        app(tmp_path, memory)
    assert says in str(error.value)


def test_a_store_from_the_environment_is_not_shown(tmp_path, monkeypatch):
    opened = app(tmp_path, "{store_env: MEMORY_URL}")
    with pytest.raises(MissingKey, match="MEMORY_URL is not set"):
        _ = opened.memory.store
    monkeypatch.setenv("MEMORY_URL", "mysql://ada:hush-hush@host/db")
    with pytest.raises(BadInput) as error:
        _ = app(tmp_path, "{store_env: MEMORY_URL}").memory.store
    assert "hush-hush" not in str(error.value)


def test_sessions_that_nobody_wrote_to_are_dropped_after_so_many_days(tmp_path):
    opened = app(tmp_path, "{store: 'sqlite:./m.db', retain: 30}")
    with opened.orchestrator() as orchestrator:
        orchestrator.invoke(Request(query=user("hi"), scope=Scope(session="new")))
    again = app(tmp_path, "{store: 'sqlite:./m.db', retain: 30}")
    assert len(again.memory.store.sessions(Scope())) == 1


def test_files_of_the_models_own_are_offered_and_answered(tmp_path):
    opened = app(tmp_path, "{files: ./files}")
    assert "memory" in [tool.name for tool in opened.steps.tools]
    assert opened.steps.runner is opened.memory.files
