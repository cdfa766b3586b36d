"""A suite as a small YAML file: datasets, subjects, sweeps, metrics, limits and what counts as passing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, JsonValue, ValidationError, field_validator, model_validator

from ctxeng.errors import BadInput, UnknownName
from ctxeng.message import Value
from ctxeng.playbook.yamlfile import faults, load
from ctxeng_evals.tally import known_metric

Options = dict[str, JsonValue]
SUBJECT_KINDS = ("select", "chunks", "tools", "source", "app", "python", "peer")


class DatasetSpec(Value):
    """Where cases come from: a registered `name`, a `jsonl` file, or a `generator` with its parameters.

    `twins` adds, for every case with gold, a copy from which the gold items were removed.
    """

    name: str = ""
    jsonl: str = ""
    generator: str = ""
    parameters: Annotated[Options, Field(alias="with")] = {}
    limit: int | None = Field(default=None, ge=1)
    twins: bool = False

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(map(bool, (self.name, self.jsonl, self.generator))) != 1:
            raise ValueError("a dataset has exactly one of name, jsonl and generator")
        if self.parameters and not self.generator:
            raise ValueError("`with` gives a generator its parameters")
        return self


class SubjectSpec(Value):
    """What is evaluated: `select`, `chunks`, `tools`, `source`, `app`, `python` or `peer`, with its options.

    `sweep` replaces the suite's for this subject; `{}` takes it out of the sweep.
    """

    select: str = ""
    chunks: str = ""
    tools: str = ""
    source: str = ""
    app: str = ""
    python: str = ""
    peer: str = ""
    options: Annotated[Options, Field(alias="with")] = {}
    sweep: dict[str, list[JsonValue]] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(bool(getattr(self, kind)) for kind in SUBJECT_KINDS) != 1:
            raise ValueError(f"a subject has exactly one of {', '.join(SUBJECT_KINDS)}")
        return self

    @property
    def kind(self) -> str:
        """Which of the kinds it is."""
        return next(kind for kind in SUBJECT_KINDS if getattr(self, kind))


class Split(Value):
    """Which part is reported: a hash of a case's group deals it to dev or test, `share` of them to dev."""

    part: Literal["all", "dev", "test"] = "all"
    share: float = Field(default=0.5, gt=0, lt=1)


class Limits(Value):
    """When a run stops: tokens, money, seconds, failed cases. It can be resumed with higher limits."""

    tokens: int | None = Field(default=None, ge=1)
    cost: float | None = Field(default=None, gt=0)
    seconds: float | None = Field(default=None, gt=0)
    failures: int | None = Field(default=None, ge=0)


class Criterion(Value):
    """What has to hold of one metric of one subject, wherever its dataset and options match `at`.

    `not_worse_than` names another subject: the paired interval of the difference must reach zero.
    """

    metric: str
    subject: str
    dataset: str = ""
    at: Options = {}
    at_least: float | None = None
    at_most: float | None = None
    not_worse_than: str = ""

    @model_validator(mode="after")
    def _says(self) -> Self:
        if self.at_least is None and self.at_most is None and not self.not_worse_than:
            raise ValueError("a criterion needs at_least, at_most or not_worse_than")
        return self


def _dataset(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


OneDataset = Annotated[DatasetSpec, BeforeValidator(_dataset)]


class Suite(Value):
    """One suite. Every subject answers every dataset's cases at every point of the sweep's grid."""

    suite: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: Literal[1] = 1
    about: str = ""
    dataset: OneDataset | None = None
    datasets: dict[str, OneDataset] = {}
    subjects: dict[str, SubjectSpec] = Field(min_length=1)
    sweep: dict[str, list[JsonValue]] = {}
    metrics: list[str] = Field(min_length=1)
    split: Split = Split()
    seed: int = 0
    repeats: int = Field(default=1, ge=1)
    workers: int | None = Field(default=None, ge=1)
    engine: Literal["threads", "processes", "ray"] = "threads"
    counter: str = "cl100k_base"
    by: list[str] = []
    limits: Limits = Limits()
    passing: Annotated[list[Criterion], Field(alias="pass")] = []
    baseline: str = ""

    @field_validator("metrics")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        for name in names:
            try:
                known_metric(name)
            except UnknownName as error:
                raise ValueError(str(error)) from error
        return names

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if bool(self.dataset) == bool(self.datasets):
            raise ValueError("a suite has either one `dataset` or several named `datasets`")
        for criterion in self.passing:
            if criterion.metric not in self.metrics:
                raise ValueError(f"pass: the metric {criterion.metric!r} is not one of the suite's metrics")
            for name in filter(None, (criterion.subject, criterion.not_worse_than)):
                if name not in self.subjects:
                    raise ValueError(f"pass: there is no subject {name!r}")
        return self

    @property
    def sources(self) -> Mapping[str, DatasetSpec]:
        """Every dataset by its name in the suite."""
        if self.dataset is None:
            return self.datasets
        spec = self.dataset
        return {spec.name or spec.generator or Path(spec.jsonl).stem: spec}


def read_suite(path: Path) -> Suite:
    """The file as checked values. Raises BadInput with file, line and column of every fault."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read: {error}") from error
    raw = load(text, str(path))
    try:
        return Suite.model_validate(raw)
    except ValidationError as error:
        raise BadInput("\n".join(faults(text, str(path), error))) from error


def json_schema() -> dict[str, Any]:
    """JSON Schema of a suite's file, for editors; a dataset may be a plain string."""
    schema = Suite.model_json_schema()
    named = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/DatasetSpec"}]}
    schema["properties"]["dataset"] = named
    schema["properties"]["datasets"]["additionalProperties"] = named
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
