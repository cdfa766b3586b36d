"""A suite's dataset, opened: registered, from a JSONL file, or generated; with deletion twins where asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from ctxeng.errors import BadInput
from ctxeng.tasks import TaskLine
from ctxeng_evals import registry
from ctxeng_evals.case import TWIN, Case, Dataset, Item
from ctxeng_evals.generators.registry import made
from ctxeng_evals.suite import DatasetSpec

_SHOWN = 10  # faults of a file that its error lists


def open_dataset(spec: DatasetSpec, folder: Path, name: str) -> Dataset:
    """The dataset. Raises BadInput for a file's faults, UnknownName for what is not registered."""
    if spec.name:
        found = registry.load(spec.name, spec.limit)
    elif spec.generator:
        found = made(spec.generator, spec.parameters)[1]
    else:
        found = Dataset(name, read_cases(folder / spec.jsonl))
    cases: Sequence[Case] = found.cases[: spec.limit] if spec.limit else found.cases
    if not len(cases):
        raise BadInput(f"dataset {name}: there are no cases in it")
    if spec.twins:
        cases = [each for case in cases for each in _with_twin(case, found)]
    return Dataset(name, cases, found.pools)


def read_cases(path: Path) -> list[Case]:
    """The file's cases, one a line: a case, or a task line as `ctxeng learn` reads it.

    Raises BadInput that counts all lines that are neither and says what is wrong with the first ten.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read: {error}") from error
    cases: list[Case] = []
    faults: list[str] = []
    seen: set[str] = set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            case = _case(json.loads(line), number)
        except (ValidationError, ValueError, RecursionError) as error:
            faults.append(f"{path.name}:{number}: {_fault(error)}")
            continue
        if case.id in seen:
            faults.append(f"{path.name}:{number}: the id {case.id!r} is given twice")
        seen.add(case.id)
        cases.append(case)
    if faults:
        more = f"\n... and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise BadInput("\n".join([f"{path}: {len(faults)} bad lines", *faults[:_SHOWN]]) + more)
    return cases


def _case(raw: object, number: int) -> Case:
    """A line with the fields of a case, or of a task."""
    if isinstance(raw, dict) and not {"documents", "json_schema", "scope"} & set(raw):
        fields = {"id": f"line-{number}", **raw}
        choices = fields.get("choices", [])
        if all(isinstance(choice, str) for choice in choices):
            return Case.model_validate(fields)
    line = TaskLine.model_validate(raw)
    return Case(
        id=line.id or f"line-{number}",
        question=line.question,
        target=line.target,
        choices=tuple(choice.value for choice in line.choices),
        items=tuple(Item(id=f"doc-{i}", text=text) for i, text in enumerate(line.documents, 1)),
        group=line.group,
        system=line.system,
    )


def _with_twin(case: Case, dataset: Dataset) -> Iterator[Case]:
    """The case, and its copy without evidence: an answer that stays the same was not read from there."""
    yield case
    if not case.gold:
        return
    left = tuple(item for item in dataset.items(case) if item.id not in case.gold)
    group = case.group or case.id
    yield case.model_copy(
        update={"id": case.id + TWIN, "items": left, "pool": "", "gold": (), "twin": case.id, "group": group}
    )


def _fault(error: Exception) -> str:
    if isinstance(error, ValidationError):
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        return f"{where}: {fault['msg']}" if where else str(fault["msg"])
    return "nested too deeply" if isinstance(error, RecursionError) else f"not usable JSON: {error}"
