"""Datasets by name, read from the shared data folder (`CTXENG_DATA`) into tasks; nothing is downloaded."""

from __future__ import annotations

import csv
import json
import os
import random
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ctxeng.errors import BadInput, UnknownName
from ctxeng.turn import Choice, Choices, FreeText, Request, Task, Truth, Want, user

DEFAULT_FOLDER = "../shared/data"
_FINER_OPTIONS = re.compile(
    r"US GAAP tags?[^:]*:\s*(?P<tags>[A-Za-z0-9_,\s]+?)\.\s*Answer the following", re.DOTALL
)
_FINER_QUESTION = re.compile(r"^\d+\.\s*(?P<question>What is best tag .*?)$", re.MULTILINE)
_BBH_OPTION = re.compile(r"^\(([A-Z])\)\s*(.+)$|^- (.+)$", re.MULTILINE)
BBH = (
    "boolean_expressions",
    "date_understanding",
    "logical_deduction_three_objects",
    "navigate",
    "penguins_in_a_table",
    "reasoning_about_colored_objects",
    "temporal_sequences",
    "tracking_shuffled_objects_three_objects",
    "web_of_lies",
)


def folder() -> Path:
    """Where the data is. Raises BadInput, saying how to name another place."""
    path = Path(os.environ.get("CTXENG_DATA", DEFAULT_FOLDER))
    if not path.is_dir():
        raise BadInput(f"no data folder at {path}; set the environment variable CTXENG_DATA to it")
    return path


def load_tasks(name: str) -> list[Task]:
    """The tasks of a dataset such as `finer`, `formula`, `metatool` or `bbh:navigate`. Raises UnknownName."""
    base, _, part = name.partition(":")
    if base not in LOADERS:
        raise UnknownName("dataset", name, [*LOADERS, *(f"bbh:{task}" for task in BBH)])
    return list(LOADERS[base](folder(), part))


def finer(data: Path, _: str) -> Iterator[Task]:
    """FiNER tag choice: four questions a record, whose labels come out together (one group)."""
    for number, record in _lines(data / "ace-finance" / "finer_val_first250.jsonl"):
        found = _FINER_OPTIONS.search(record["context"])
        questions = [match["question"] for match in _FINER_QUESTION.finditer(record["context"])]
        targets = record["target"].split(",")
        if found is None or len(questions) != len(targets):
            raise BadInput(f"finer line {number}: {len(questions)} questions for {len(targets)} targets")
        tags = [tag.strip() for tag in found["tags"].split(",") if tag.strip()]
        options = Choices(options=tuple(Choice(value=tag) for tag in tags))
        for index, (question, target) in enumerate(zip(questions, targets, strict=True), 1):
            yield _task(f"finer-{number}-{index}", question, options, target.strip(), group=f"finer-{number}")


def formula(data: Path, _: str) -> Iterator[Task]:
    """Formula arithmetic: a numeric answer (judge: numeric)."""
    for number, record in _lines(data / "ace-finance" / "formula_val_300.jsonl"):
        yield _task(f"formula-{number}", record["context"], FreeText(), record["target"])


def metatool(data: Path, part: str) -> Iterator[Task]:
    """MetaTool: choose the plugin for a query; `metatool:3000` draws that many (seed 0)."""
    path = data / "metatool"
    about = json.loads((path / "plugin_des.json").read_text(encoding="utf-8"))
    options = Choices(options=tuple(Choice(value=name, about=text) for name, text in about.items()))
    with (path / "all_clean_data.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["Query"], row["Tool"]) for row in csv.DictReader(file)]
    random.Random(0).shuffle(rows)  # noqa: S311 - a seeded draw, not a secret
    for number, (query, tool) in enumerate(rows[: int(part)] if part else rows, 1):
        yield _task(f"metatool-{number}", query, options, tool)


def bbh(data: Path, part: str) -> Iterator[Task]:
    """BIG-Bench Hard tasks that have choices; an option's text is the choice, its letter is left out."""
    if part not in BBH:
        raise UnknownName("BBH task", part, BBH)
    raw = json.loads((data / "bbh" / f"{part}.json").read_text(encoding="utf-8"))
    targets = sorted({example["target"] for example in raw["examples"]})
    for number, example in enumerate(raw["examples"], 1):
        question, _, listed = example["input"].partition("\nOptions:\n")
        by_letter = {letter: text or item for letter, text, item in _BBH_OPTION.findall(listed)}
        lettered = "" not in by_letter and bool(by_letter)
        values = list(by_letter.values()) if lettered else targets
        target = by_letter[example["target"].strip("()")] if lettered else example["target"]
        options = Choices(options=tuple(Choice(value=value) for value in values))
        yield _task(f"{part}-{number}", question, options, target)


LOADERS: Mapping[str, Callable[[Path, str], Iterator[Task]]] = {
    "finer": finer,
    "formula": formula,
    "metatool": metatool,
    "bbh": bbh,
}


def _task(name: str, question: str, want: Want, target: str, group: str = "") -> Task:
    return Task(
        id=name, request=Request(query=user(question)), want=want, truth=Truth(target=target), group=group
    )


def _lines(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                yield number, json.loads(line)
            except json.JSONDecodeError as error:
                raise BadInput(f"{path.name}:{number}: not JSON ({error.msg})") from error
