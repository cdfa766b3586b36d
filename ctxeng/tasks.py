"""Tasks from a JSON-lines file: checked line by line, so that a bad one is named and none is skipped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, JsonValue, ValidationError, model_validator

from ctxeng.errors import BadTask
from ctxeng.turn import (
    Choice,
    Choices,
    Chunk,
    FreeText,
    Request,
    Schema,
    Scope,
    Task,
    Truth,
    Value,
    Want,
    user,
)


def _choice(value: Any) -> Any:
    return {"value": value} if isinstance(value, str) else value


class TaskLine(Value):
    """One line: a question, and as far as known its choices, target, group, documents and scope."""

    question: Annotated[str, Field(min_length=1)]
    id: str = ""
    target: JsonValue = None
    choices: tuple[Annotated[Choice, BeforeValidator(_choice)], ...] = ()
    json_schema: dict[str, JsonValue] = {}
    group: str = ""
    system: str = ""
    documents: tuple[str, ...] = ()
    scope: Scope = Scope()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.question.strip():
            raise ValueError("the question is empty")
        values = [choice.value for choice in self.choices]
        if len(set(values)) < len(values):
            twice = next(value for value in values if values.count(value) > 1)
            raise ValueError(f"the choice {twice!r} is given twice")
        if values and self.json_schema:
            raise ValueError("choices and json_schema exclude each other")
        targets = self.target if isinstance(self.target, list) else [self.target]
        strange = [t for t in targets if values and t is not None and str(t) not in values]
        if strange:
            raise ValueError(f"the target {strange[0]!r} is none of the choices")
        return self

    def task(self, number: int) -> Task:
        """The line as a task; without an id it is named after its line."""
        want: Want = FreeText()
        if self.choices:
            want = Choices(options=self.choices)
        elif self.json_schema:
            want = Schema(json_schema=self.json_schema)
        chunks = tuple(
            Chunk(id=f"doc-{i}", text=text, end=len(text)) for i, text in enumerate(self.documents, 1)
        )
        return Task(
            id=self.id or f"line-{number}",
            request=Request(query=user(self.question), system=self.system, chunks=chunks, scope=self.scope),
            want=want,
            truth=None if self.target is None else Truth(target=self.target),
            group=self.group,
        )


def read_tasks(path: Path) -> list[Task]:
    """Every line's task, in order. Raises BadTask with file and line for the first that is not one."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadTask(f"{path}: cannot be read: {error}") from error
    tasks = list(_tasks(path, lines))
    if not tasks:
        raise BadTask(f"{path}: no tasks; a line looks like {EXAMPLE}")
    _distinct(path, tasks)
    return tasks


EXAMPLE = '{"question": "...", "choices": ["a", "b"], "target": "a"}'


def _tasks(path: Path, lines: Sequence[str]) -> Iterator[Task]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield TaskLine.model_validate(json.loads(line)).task(number)
        except json.JSONDecodeError as error:
            raise BadTask(
                f"{path}:{number}:{error.colno}: not JSON ({error.msg}); a line looks like {EXAMPLE}"
            ) from error
        except (ValidationError, ValueError, RecursionError) as error:
            raise BadTask(f"{path}:{number}: {_fault(error)}; a line looks like {EXAMPLE}") from error


def _fault(error: Exception) -> str:
    """What is wrong with a line, in a sentence."""
    if isinstance(error, ValidationError):
        fault = error.errors()[0]
        where = ".".join(str(step) for step in fault["loc"])
        said = fault["msg"].removeprefix("Value error, ")
        return f"{where}: {said}" if where else said
    return "nested too deeply" if isinstance(error, RecursionError) else f"not usable JSON ({error})"


def _distinct(path: Path, tasks: Sequence[Task]) -> None:
    seen: set[str] = set()
    for task in tasks:
        if task.id in seen:
            raise BadTask(f"{path}: the id {task.id!r} is given to two tasks")
        seen.add(task.id)


def needs_truths(path: Path, tasks: Sequence[Task]) -> None:
    """Raises BadTask where a task has no target and the judge needs one."""
    missing = [task.id for task in tasks if task.truth is None]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise BadTask(
            f"{path}: task {missing[0]}{more} has no target; give one, or set `learning: {{judge: none}}`"
        )
