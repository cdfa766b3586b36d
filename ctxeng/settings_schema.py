"""The one YAML file as values: what may stand in it, with defaults and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ctxeng.errors import BadInput
from ctxeng.playbook.entry import Entry
from ctxeng.protocols import ModelRole
from ctxeng.settings_local import LocalSettings
from ctxeng.settings_memory_schema import MemorySettings
from ctxeng.settings_tool_schema import ToolSource
from ctxeng.settings_types import Names, SourceSettings, Tokens
from ctxeng.turn import Value

ENGINE_VERSION = 1


def _model(value: Any) -> Any:
    return {"id": value} if isinstance(value, str) else value


def _models(value: Any) -> Any:
    return [_model(each) for each in value] if isinstance(value, list | tuple) else [_model(value)]


class ModelSettings(Value):
    """A model: `onbox`, `local:<folder>`, `cassette:<file>`, or any litellm id, with what reaching it needs.

    `onbox:hashing` is onbox on hashed words instead of an encoder's weights: weaker, and needs no torch.
    """

    id: str = "onbox"
    fallback: Annotated[tuple[ModelSettings, ...], BeforeValidator(_models)] = ()
    base_url: str | None = None
    key_env: str | None = None
    window: Annotated[Tokens, Field(gt=0)] | None = None
    timeout: float = Field(default=60.0, gt=0)
    retries: int = Field(default=3, ge=0)
    cassette: str | None = None
    local: LocalSettings = LocalSettings()


OneModel = Annotated[ModelSettings, BeforeValidator(_model)]


class RoleSettings(Value):
    """A model for each role; reflect inherits from answer, the others from reflect."""

    answer: OneModel = ModelSettings()
    reflect: OneModel | None = None
    curate: OneModel | None = None
    summarize: OneModel | None = None
    judge: OneModel | None = None
    retrieve: OneModel | None = None

    @property
    def others(self) -> dict[ModelRole, ModelSettings]:
        """The roles that have a model of their own, besides answer."""
        named: dict[ModelRole, ModelSettings | None] = {
            "reflect": self.reflect,
            "curate": self.curate,
            "summarize": self.summarize,
            "judge": self.judge,
            "retrieve": self.retrieve,
        }
        return {role: model for role, model in named.items() if model is not None}


class PlaybookSource(SourceSettings):
    """The playbook as a source."""

    stickiness: float = Field(default=0.25, ge=0)
    candidates: bool = True


class PreferenceSettings(SourceSettings):
    """What each user likes, as a source, learned from their edits (`feedback(turn, edit=...)`).

    `folder` has a playbook for each user, beside the settings file; of it the `k` closest contexts count.
    """

    folder: str = ""
    k: int = Field(default=5, ge=1)
    cap: Tokens | None = 600


class ChunkSettings(SourceSettings):
    """Documents as a source.

    `from` names files and folders, beside the settings file; their index is kept in the folder `index`,
    "memory" keeps none. `split` and `size` (tokens) say how passages are cut, `unit` whether they are shown
    whole or by sentence, `rank` what relevance is, `select` and `reward` how a set is chosen, `order` how it
    is shown, `least` the relevance below which nothing is. `prepare` names a method that asks the model of
    the role `retrieve` what to look for, within `prepare_cap` tokens a turn.

    Files are beside the settings file too: `calibration` is what `select: conformal` goes by, `reranker` the
    cross-encoder of `reward: reranked` (a folder, or an id in the local Hugging Face cache), `agent` a
    configuration agent that may pick another way to select than `select`. `vectors` is the URL of a Chroma
    server that keeps the index's vectors.
    """

    model_config = ConfigDict(populate_by_name=True)

    documents: Annotated[Names, Field(alias="from")] = ()
    split: Literal["auto", "sentence", "paragraph", "markdown", "code", "window", "semantic"] = "auto"
    size: Annotated[Tokens, Field(ge=8)] = 256
    index: str = ""
    unit: Literal["sentence", "chunk"] = "sentence"
    rank: Literal["learned", "bridging", "hybrid"] = "learned"
    model: str = ""
    vectors: str = Field(default="", pattern=r"^(https?://\S+)?$")
    select: Literal["top_k", "mmr", "greedy", "knapsack", "gradient", "mcts", "conformal"] = "top_k"
    calibration: str = ""
    reward: Literal["additive", "coverage", "reranked"] = "coverage"
    reranker: str = ""
    agent: str = ""
    order: Literal["source", "found", "ends"] = "source"
    least: float = Field(default=0.0, ge=0, le=1)
    iterations: int = Field(default=200, ge=1)
    deadline: float | None = Field(default=None, gt=0)
    prepare: Literal["", "decompose", "iterdrag", "agentic_lu", "ext_agents"] = ""
    prepare_cap: Annotated[Tokens, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> ChunkSettings:
        pairs = (
            ("select: conformal", self.select == "conformal", "calibration", self.calibration),
            ("reward: reranked", self.reward == "reranked", "reranker", self.reranker),
        )
        for choice, chosen, name, given in pairs:
            if chosen != bool(given):
                needs = f"{choice} needs `{name}`, a path" if chosen else f"`{name}` is for `{choice}` only"
                raise ValueError(needs)
        if self.reward == "reranked" and self.select not in {"greedy", "mcts"}:
            raise ValueError(f"reward: reranked is for select: greedy or mcts, not for {self.select}")
        if self.select == "conformal" and not self.documents:
            raise ValueError("select: conformal needs `from`: a calibration holds for certain documents")
        if self.vectors and (self.index == "memory" or not self.documents):
            raise ValueError("`vectors` needs `from`, and an `index` in a folder: the texts are kept there")
        return self


class StatementSettings(SourceSettings):
    """A graph of statements as a source: `from` is a file of triples (CSV or JSON lines)."""

    model_config = ConfigDict(populate_by_name=True)

    triples: Annotated[str, Field(alias="from")] = ""
    mode: Literal["steiner", "prune"] = "steiner"


class Sources(Value):
    """The sources, in the order in which they are asked."""

    playbook: PlaybookSource = PlaybookSource()
    preferences: PreferenceSettings = PreferenceSettings()
    tools: ToolSource = ToolSource()
    memory: MemorySettings = MemorySettings()
    graph: StatementSettings = StatementSettings()
    chunks: ChunkSettings = ChunkSettings()


class ContextSettings(Value):
    """The window and how it is divided, in tokens."""

    window: Annotated[Tokens, Field(gt=0)] | None = None
    reply: Tokens = 1024
    loop: Tokens | None = None
    system: str = ""
    cite: bool = True
    sources: Sources = Sources()


class BudgetSettings(Value):
    """How large the playbook may grow."""

    entries: int | None = Field(default=2_000, ge=1)
    tokens: Tokens | None = None


class LearningSettings(Value):
    """How the playbook learns."""

    strategy: str = "auto"
    judge: str = "exact"
    approve: Literal["auto", "human", "candidate"] = "auto"
    mode: Literal["online", "offline"] = "online"
    window: int = Field(default=15, ge=1)
    every: int = Field(default=1, ge=1)
    epochs: int = Field(default=1, ge=1)
    rounds: int = Field(default=3, ge=1)
    refine: Literal["proactive", "lazy", "never"] = "lazy"
    similar: float = Field(default=0.90, gt=0, le=1)
    budget: BudgetSettings = BudgetSettings()
    origin: Literal["untrusted", "user", "trusted"] = "user"


class GraphSettings(Value):
    """Nodes and sources taken out, and functions (`package.module:function`) put before a node."""

    without: tuple[str, ...] = ()
    before: dict[str, Names] = {}
    max_steps: int = Field(default=8, ge=0)


class Settings(Value):
    """One YAML file. `entries` is kept by the playbook's store; `extends` brings in entries only."""

    ctxeng: int = ENGINE_VERSION
    playbook: str = ""
    extends: Names = ()
    models: RoleSettings = RoleSettings()
    context: ContextSettings = ContextSettings()
    learning: LearningSettings = LearningSettings()
    graph: GraphSettings = GraphSettings()
    prompts: str | None = None
    log: str | None = None
    entries: tuple[Entry, ...] = ()


def overridden(settings: Settings, options: Mapping[str, Any]) -> Settings:
    """The settings with what somebody else says instead (a command line, a suite); None says nothing.

    `options` are named by their place, for example "learning.window". Raises BadInput.
    """
    raw = settings.model_dump()
    for place, value in options.items():
        if value is None:
            continue
        *folders, name = place.split(".")
        target = raw
        for folder in folders:
            target = target[folder]
        target[name] = value
    try:
        return type(settings).model_validate(raw)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(step) for step in fault["loc"])
        raise BadInput(f"{where}: {fault['msg']}, not {fault['input']!r}") from error


def json_schema() -> dict[str, Any]:
    """JSON Schema of the file, for editors."""
    schema = _with_short_models(Settings.model_json_schema())
    properties = schema["$defs"]["ModelSettings"]["properties"]
    many = properties["fallback"]
    properties["fallback"] = {"anyOf": [many["items"], many]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _with_short_models(schema: Any) -> Any:
    """The schema with a plain string allowed wherever a model is."""
    if isinstance(schema, list):
        return [_with_short_models(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("$ref") == "#/$defs/ModelSettings":
        return {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/ModelSettings"}]}
    return {key: _with_short_models(value) for key, value in schema.items()}
