"""One YAML file becomes an Orchestrator; the only reader of environment variables."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from ctxeng.assemble import Assembler
from ctxeng.errors import BadSettings, UnknownName
from ctxeng.extras import installed, needs
from ctxeng.judge import judge_named
from ctxeng.learn import Learning
from ctxeng.models.roles import RoleModels
from ctxeng.playbook.learners.ace import AceLearner
from ctxeng.playbook.learners.onbox import OnboxReflector
from ctxeng.playbook.pick import EntryPicker
from ctxeng.playbook.refine import EntryBudget, Refiner
from ctxeng.playbook.store import PlaybookStore
from ctxeng.playbook.yamlfile import faults, load
from ctxeng.preferences import UserPreferences
from ctxeng.protocols import Learner, Model, Observer, Runner, Source
from ctxeng.record import RecentTurns, TurnLog, Turns
from ctxeng.retrieval.embed import Embedder, TextEncoder
from ctxeng.retrieval.hybrid import Hybrid
from ctxeng.settings_checks import SOURCES, budget_of, check
from ctxeng.settings_chunks import LazyCorpus, chunk_source, lazy_corpus, retrieval_steps, statements
from ctxeng.settings_local import Boxes
from ctxeng.settings_memory import MemoryKit
from ctxeng.settings_models import Makers
from ctxeng.settings_preferences import preference_learner, user_preferences
from ctxeng.settings_schema import ModelSettings, Settings
from ctxeng.settings_tools import ToolKit
from ctxeng.steps import Hook, Steps
from ctxeng.storage.bodies import Bodies
from ctxeng.storage.setaside import SetAside
from ctxeng.text.prompts import Prompts
from ctxeng.tokens import counter_for
from ctxeng.turn import Tool

if TYPE_CHECKING:
    from ctxeng.orchestrator import Orchestrator


def read(path: Path) -> Settings:
    """The file as checked values. Raises BadSettings or BadPlaybook, with file, line and column."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path}: cannot be read: {error}") from error
    raw = {key: value for key, value in load(text, str(path)).items() if key != "entries"}
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        raise BadSettings("\n".join(faults(text, str(path), error))) from error
    check(settings, path)
    return settings


@dataclass(frozen=True)
class App:
    """What a settings file describes, built piece by piece as it is asked for.

    `model` stands in for every model of the file, `runner` runs tool calls, `tools` are offered every turn.
    """

    path: Path
    settings: Settings
    model: Model | None = None
    runner: Runner | None = None
    tools: Sequence[Tool] = ()
    observers: Sequence[Observer] = ()
    encoder: TextEncoder = Embedder()
    checkpointer: Any = None

    @cached_property
    def store(self) -> PlaybookStore:
        """The playbook, open."""
        store = PlaybookStore(self.path)
        store.open()
        return store

    @cached_property
    def models(self) -> RoleModels:
        """A model for each role."""
        if self.model is not None:
            return RoleModels(self.model)
        roles = self.settings.models
        others = {role: self._model(given) for role, given in roles.others.items()}
        return RoleModels(self._model(roles.answer), others)

    @cached_property
    def log(self) -> Turns:
        """Finished turns: a file where the settings name one, else the last thousand in memory."""
        name = self.settings.log
        return TurnLog(self.path.parent / name) if name else RecentTurns()

    @cached_property
    def prompts(self) -> Prompts:
        """Our prompts, or the user's own of the same names."""
        return Prompts(self.path.parent / self.settings.prompts if self.settings.prompts else None)

    @cached_property
    def learning(self) -> Learning:
        """The backward pass."""
        given = self.settings.learning
        return Learning(
            store=self.store,
            judge=judge_named(given.judge),
            learner=self.learner,
            refiner=Refiner(self._embed, given.similar),
            refine=given.refine,
            budget=EntryBudget(given.budget.entries, given.budget.tokens),
            approve=given.approve,
        )

    @cached_property
    def learner(self) -> Learner:
        """The strategy: `auto` is onbox where no language model reflects, ace where one does."""
        given = self.settings.learning
        onbox = self.models.role("reflect").name == "onbox"
        name = ("onbox" if onbox else "ace") if given.strategy == "auto" else given.strategy
        if name == "preference":
            return preference_learner(self.settings, self.models, self.prompts)
        if name == "onbox":
            from ctxeng.models.evidence import cue  # noqa: PLC0415 - numpy, only where it is used

            return OnboxReflector(cue, origin=given.origin)
        limit = f"{given.budget.entries or 'any number of'} entries"
        return AceLearner(self.models, None, given.rounds, self.prompts, budget=limit, origin=given.origin)

    @cached_property
    def steps(self) -> Steps:
        """The forward pass."""
        given = self.settings
        window = given.context.window or self.models.role("answer").window
        sources = {name: source for name, source in self.sources.items() if name not in given.graph.without}
        cite = given.context.cite and self.models.role("answer").name != "onbox"
        texts = [given.context.system, self.prompts.text("cite") if cite else ""]
        return Steps(
            models=self.models,
            assembler=Assembler(
                sources,
                budget_of(given, window, list(sources), self.path),
                "\n\n".join(text for text in texts if text),
            ),
            prepares=(
                *self.toolkit.prepares,
                *retrieval_steps(given.context.sources.chunks, self.corpus, self.prompts),
            ),
            runner=self.memory.runner,
            tools=(*self.tools, *self.toolkit.added, *self.memory.added),
            observers=(self.log, *self.toolkit.observers, *self.observers),
            max_steps=given.graph.max_steps,
            cite=cite,
            hooks={
                node: [function_named(name) for name in names] for node, names in given.graph.before.items()
            },
        )

    @cached_property
    def sources(self) -> Mapping[str, Source]:
        """The sources by name, in the order in which they are asked."""
        given = self.settings.context.sources
        return {
            "playbook": EntryPicker(
                lambda: self.store.playbook,
                self._index,
                stickiness=given.playbook.stickiness,
                candidates=given.playbook.candidates,
            ),
            **({} if self.preferences is None else {"preferences": self.preferences}),
            "tools": self.toolkit.source,
            "memory": self.memory.source,
            "graph": statements(given.graph, self.path.parent, self.local_encoder),
            "chunks": chunk_source(given.chunks, self.path.parent, self.local_encoder, self.corpus),
        }

    @cached_property
    def preferences(self) -> UserPreferences | None:
        """What each user likes; None where the file names no folder for it."""
        return user_preferences(self.settings, self.path.parent, self.models, self.prompts)

    @cached_property
    def memory(self) -> MemoryKit:
        """The file's memory."""
        model, given = self.models.role("answer"), self.settings.context
        return MemoryKit(
            given.sources.memory,
            self.path.parent,
            os.environ,
            self.models,
            counter_for(model.name),
            min(given.window or model.window, model.window),
            self.local_encoder,
            self.prompts,
            self.toolkit.runner,
        )

    @cached_property
    def corpus(self) -> LazyCorpus | None:
        """The file's own documents, opened when they are first asked for."""
        return lazy_corpus(self.settings.context.sources.chunks, self.path.parent, self.local_encoder)

    @cached_property
    def toolkit(self) -> ToolKit:
        """The file's tools, and what runs their calls; it has read what the log says of their use."""
        given = self.settings.context.sources.tools
        kit = ToolKit(
            given,
            self.path.parent,
            self.local_encoder,
            os.environ,
            function_named,
            self.prompts,
            self.runner,
            self.tools,
        )
        if kit.tools is not None and isinstance(self.log, TurnLog):
            for turn in self.log:
                kit.tools.observe(turn)
        return kit

    def orchestrator(self) -> Orchestrator:
        """The whole. Raises MissingExtra where langgraph is not installed."""
        needs("langgraph")
        from ctxeng.orchestrator import Orchestrator  # noqa: PLC0415 - langgraph takes seconds

        without = frozenset(self.settings.graph.without) - set(SOURCES)
        # a turn that waits for approval, or for a restart, needs its bodies on disk as well
        kept = SetAside(self.path.parent / ".ctxeng" / "bodies") if self.checkpointer is not None else None
        bodies = Bodies(kept)
        closing = [self.toolkit.close, self.memory.close, self.boxes.close]
        if self.preferences is not None:
            closing.append(self.preferences.books.close)
        return Orchestrator(
            self.steps,
            self.log,
            self.learning,
            self.checkpointer,
            bodies,
            without,
            closing,
            self.preferences,
        )

    def _model(self, given: ModelSettings) -> Model:
        """The model, or those of it and its fallbacks whose keys are here."""
        makers = Makers(self.path.parent, self.encoder, self.boxes)
        return makers.reachable(given, os.environ)

    @cached_property
    def boxes(self) -> Boxes:
        """Models on this machine that are open."""
        return Boxes()

    @property
    def local_encoder(self) -> TextEncoder | None:
        """The encoder, where its library is installed."""
        here = not isinstance(self.encoder, Embedder) or installed("sentence_transformers")
        return self.encoder if here else None

    def _index(self, texts: Sequence[str]) -> Hybrid:
        return Hybrid(texts, self.local_encoder)

    def _embed(self, texts: Sequence[str]) -> Any:
        return self.encoder.embed(texts)


def open_app(path: Path, **options: Any) -> App:  # the options are App's own fields
    """The app of a settings file."""
    return App(path, read(path), **options)


def function_named(name: str) -> Hook:
    """The function of `package.module:function`. Raises UnknownName."""
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UnknownName("function", name, [f"package.module:function ({error})"]) from error
    if not callable(found):
        raise UnknownName("function", name, ["something that can be called"])
    return cast("Hook", found)
