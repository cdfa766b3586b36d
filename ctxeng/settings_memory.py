"""Memory of a settings file: its store, the policies that keep sessions small, what searches it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from ctxeng.errors import MissingKey
from ctxeng.memory.aside import SetAside
from ctxeng.memory.clear import ClearToolUses
from ctxeng.memory.compaction import Compaction
from ctxeng.memory.extract import ExtractiveSummarizer
from ctxeng.memory.files import MemoryFiles
from ctxeng.memory.memory import Memory
from ctxeng.memory.policy import Policy, Worth
from ctxeng.memory.recall import Recall
from ctxeng.memory.recent import RecentHistory
from ctxeng.memory.source import MemorySource
from ctxeng.memory.store import SqlStore
from ctxeng.memory.summarize import ModelSummarizer
from ctxeng.memory.summary import Summarizer
from ctxeng.memory.trigger import Condition, trigger
from ctxeng.message import Message
from ctxeng.protocols import Models, Runner, Source
from ctxeng.retrieval.embed import TextEncoder
from ctxeng.settings_memory_schema import MemorySettings, SummarizeSettings
from ctxeng.storage.sql import open_database
from ctxeng.text.prompts import Prompts
from ctxeng.tokens import Counter
from ctxeng.turn import Section, Tool

_QUARTER = 4  # of the window: where history is summarised, if the file does not say
_KEPT, _ROOM = 6, 8  # of that limit: what stays beside the summary, and the summary


@dataclass(frozen=True)
class MemoryKit:
    """All that a settings file says of memory, built once it is asked for.

    `window` is in tokens; `rest` runs the calls that are not of the model's own files.
    """

    given: MemorySettings
    folder: Path
    environ: Mapping[str, str]
    models: Models
    counter: Counter
    window: int
    encoder: TextEncoder | None = None
    prompts: Prompts = Prompts()
    rest: Runner | None = None

    @property
    def kept(self) -> bool:
        """Whether the file names a store."""
        return bool(self.given.store or self.given.store_env)

    @cached_property
    def store(self) -> SqlStore:
        """The store; sessions older than `retain` days are dropped. Raises MissingKey, BadInput."""
        url = self.given.store
        if self.given.store_env:
            url = self.environ.get(self.given.store_env, "")
            if not url:
                raise MissingKey(f"memory: the environment variable {self.given.store_env} is not set")
        store = SqlStore(open_database(url, self.folder))
        if self.given.retain is not None:
            before = datetime.now(UTC) - timedelta(days=self.given.retain)
            store.expire(before.isoformat(timespec="seconds"))
        return store

    @cached_property
    def memory(self) -> Memory:
        """Sessions, and what keeps them small."""
        return Memory(self.store, self._price, self.policies, marked=self.given.edits)

    @cached_property
    def recall(self) -> Recall:
        """Search over them."""
        return Recall(self.store, self.encoder)

    @cached_property
    def files(self) -> MemoryFiles | None:
        """The files that the model keeps; None where the file names no folder. `rest` runs other calls."""
        return MemoryFiles(self.folder / self.given.files, self.rest) if self.given.files else None

    @property
    def runner(self) -> Runner | None:
        """What runs all calls."""
        return self.files or self.rest

    @property
    def added(self) -> tuple[Tool, ...]:
        """The tools that come with it."""
        return self.files.tools if self.files else ()

    @cached_property
    def source(self) -> Source:
        """Memory as a source; without a store, the newest of what a request brings."""
        given = self.given
        if not self.kept:
            return RecentHistory(given.count)
        return MemorySource(
            self.memory,
            self.recall if given.recall else None,
            recalled=given.recall,
            edits=given.edits,
            asks=given.ask,
            limit=self.limit,
        )

    @property
    def limit(self) -> int:
        """Tokens that history may have before it is summarised, as far as the file says it in tokens."""
        given = self.given.summarize
        when = trigger(given.when) if isinstance(given, SummarizeSettings) and given.when else None
        tokens = isinstance(when, Condition) and when.measure == "tokens"
        return when.least if isinstance(when, Condition) and tokens else self.window // _QUARTER

    @property
    def policies(self) -> tuple[Policy, ...]:
        """What keeps sessions small, in the order in which it is asked."""
        given = self.given
        found: list[Policy] = [SetAside(given.aside or max(64, self.limit // _QUARTER))]
        if given.clear is not None:
            clear = given.clear
            found.append(
                ClearToolUses(
                    trigger(clear.trigger),
                    clear.keep,
                    clear.clear_at_least,
                    clear.exclude_tools,
                    clear_tool_inputs=clear.clear_tool_inputs,
                    worth=None if clear.pays is None else Worth(clear.pays),
                )
            )
        if given.summarize is not False:
            options = (
                given.summarize if isinstance(given.summarize, SummarizeSettings) else SummarizeSettings()
            )
            found.append(self._compaction(options))
        return tuple(found)

    def close(self) -> None:
        """Let go of the store."""
        if "store" in self.__dict__:
            self.store.close()

    def _compaction(self, given: SummarizeSettings) -> Compaction:
        return Compaction(
            self._summarizer,
            self.counter,
            trigger(given.when) if given.when else Condition("tokens", self.limit),
            keep=given.keep or max(1, self.limit // _KEPT),
            room=given.room or max(16, self.limit // _ROOM),
            chunk=given.chunk,
            rounds=given.rounds,
        )

    @cached_property
    def _summarizer(self) -> Summarizer:
        """The model of the role `summarize`; without a language model, sentences are chosen."""
        extractive = ExtractiveSummarizer(self.counter)
        if self.models.role("summarize").name == "onbox":
            return extractive
        return ModelSummarizer(self.models, self.prompts, self.counter, extractive)

    def _price(self, message: Message) -> int:
        section = Section(kind="message", source="memory", body=message)
        return self.models.role("answer").price(section)
