"""What a suite amounts to: columns (dataset, subject, point of the sweep) and slots (a column's case)."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from ctxeng.errors import BadInput
from ctxeng_evals.case import Case, Dataset
from ctxeng_evals.sources import open_dataset
from ctxeng_evals.suite import Suite


@dataclass(frozen=True)
class Column:
    """One column of the report: a subject on a dataset at one point of the sweep."""

    dataset: str
    subject: str
    point: Mapping[str, JsonValue]

    @property
    def name(self) -> str:
        """The column in words: "hotpotqa / bm25 / budget=256"."""
        return " / ".join(
            [self.dataset, self.subject, *(f"{key}={_said(value)}" for key, value in self.point.items())]
        )


@dataclass(frozen=True)
class Slot:
    """One case in one column, once; `index` is its place in the results."""

    index: int
    column: int
    case: int
    repeat: int


@dataclass(frozen=True)
class Segment:
    """A part of a run. A batch is one case in several columns, which so take turns on the machine.

    In a sequential segment the batches follow one another: its only column learns from case to case.
    """

    sequential: bool
    batches: Iterator[list[Slot]]


@dataclass(frozen=True)
class Plan:
    """A suite, its folder, and what the command line narrows it to. A value that engines can send around."""

    suite: Suite
    folder: Path
    limit: int | None = None
    only: str = ""
    columns_like: str = "*"

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Every column, datasets first. Raises BadInput where `columns_like` leaves none."""
        suite = self.suite
        made = tuple(
            Column(dataset, subject, point)
            for dataset in suite.sources
            for subject, spec in suite.subjects.items()
            for point in _grid(suite.sweep if spec.sweep is None else spec.sweep)
        )
        kept = tuple(column for column in made if fnmatchcase(column.name, self.columns_like))
        if not kept:
            names = "; ".join(column.name for column in made)
            raise BadInput(f"no column is like {self.columns_like!r}; there are: {names}")
        return kept

    @cached_property
    def sequential(self) -> frozenset[int]:
        """Columns whose subject learns from case to case."""
        specs = self.suite.subjects
        return frozenset(
            place
            for place, column in enumerate(self.columns)
            if specs[column.subject].kind == "app" and specs[column.subject].options.get("learn")
        )

    def dataset(self, name: str) -> Dataset:
        """A dataset of the suite, split and limited."""
        suite = self.suite
        opened = open_dataset(suite.sources[name], self.folder, name)
        return narrowed(opened, suite, self.limit)

    @cached_property
    def datasets(self) -> Mapping[str, Dataset]:
        """Every dataset by its name, opened once in this process."""
        return {name: self.dataset(name) for name in self.suite.sources}

    def __reduce__(self) -> tuple[Any, ...]:
        return Plan, (self.suite, self.folder, self.limit, self.only, self.columns_like)

    def segments(self, done: int = 0) -> Iterator[Segment]:
        """What is to be done, from slot `done` on; columns that learn come after the others of a dataset."""
        index = 0
        for name, dataset in self.datasets.items():
            mine = [place for place, column in enumerate(self.columns) if column.dataset == name]
            together = [place for place in mine if place not in self.sequential]
            alone = [place for place in mine if place in self.sequential]
            for columns in ([together] if together else []) + [[place] for place in alone]:
                cases = self.chosen(dataset)
                size = self.suite.repeats * len(cases) * len(columns)
                if index + size > done:
                    batches = self._batches(index, columns, cases, done)
                    yield Segment(columns[0] in self.sequential, batches)
                index += size

    def _batches(
        self, index: int, columns: Sequence[int], cases: Sequence[int], done: int
    ) -> Iterator[list[Slot]]:
        for repeat, case in itertools.product(range(self.suite.repeats), cases):
            batch = [Slot(index + place, column, case, repeat) for place, column in enumerate(columns)]
            index += len(columns)
            if left := [slot for slot in batch if slot.index >= done]:
                yield left

    def total(self) -> int:
        """How many slots there are. Raises BadInput where there is none."""
        cases = {name: len(self.chosen(dataset)) for name, dataset in self.datasets.items()}
        if not any(cases.values()):
            raise BadInput(f"no case of {', '.join(cases)} is like {self.only!r}, or in this split")
        return sum(cases[column.dataset] for column in self.columns) * self.suite.repeats

    def chosen(self, dataset: Dataset) -> Sequence[int]:
        """The places of the dataset's cases that are run."""
        if not self.only:
            return range(len(dataset.cases))
        return [place for place, case in enumerate(dataset.cases) if fnmatchcase(case.id, self.only)]

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits: equal where a run may be resumed. What limits or speeds a run up does not count."""
        loose = {"limits", "workers", "engine", "passing", "baseline", "about"}
        said: dict[str, Any] = self.suite.model_dump(mode="json", exclude=loose)
        said |= {"limit": self.limit, "only": self.only, "like": self.columns_like, "files": self._files()}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]

    def _files(self) -> dict[str, str]:
        """The user's own files that results depend on, by their sha256."""
        named = [spec.jsonl for spec in self.suite.sources.values()]
        named += [spec.app for spec in self.suite.subjects.values()]
        found = {}
        for name in filter(None, named):
            path = self.folder / name
            if not path.is_file():
                raise BadInput(f"{path}: no such file (named by suite {self.suite.suite})")
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found


def narrowed(dataset: Dataset, suite: Suite, limit: int | None) -> Dataset:
    """The dataset's cases that are reported."""
    cases: Sequence[Case] = dataset.cases
    split = suite.split
    if split.part != "all":
        cases = [case for case in cases if (_deal(case, suite.seed) < split.share) == (split.part == "dev")]
    return Dataset(dataset.name, cases[:limit] if limit else cases, dataset.pools)


def _deal(case: Case, seed: int) -> float:
    """A number from 0 to 1 that all cases of a group share."""
    digest = hashlib.sha256(f"{seed}\0{case.group or case.id}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def _grid(sweep: Mapping[str, Sequence[JsonValue]]) -> list[dict[str, JsonValue]]:
    return [dict(zip(sweep, values, strict=True)) for values in itertools.product(*sweep.values())]


def _said(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value)
