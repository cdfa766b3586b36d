"""Tasks to learn from: ACE finance, BBH, GSM8K, Game of 24, Dynamic Cheatsheet, Reflexion."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

from ctxeng_evals.case import Case, Dataset, Item
from ctxeng_evals.datasets import _BBH_OPTION, _FINER_OPTIONS, _FINER_QUESTION, BBH
from ctxeng_evals.loaders.read import dataset_of, document, flat, lines, only, table

FREE_BBH = ("dyck_languages", "multistep_arithmetic_two", "object_counting", "word_sorting")
TRIALS = ("0", "4", "9", "14")
_MEMORY = re.compile(r"<memory_item>(.*?)</memory_item>", re.DOTALL)


def ace_finance(data: Path, part: str) -> Dataset:
    """ACE finance: `finer` (tag choice, four questions a record, one group), `formula`, `formula-train`.

    Without a part it is `finer`. Raises BadInput for malformed records, UnknownName for another part.
    """
    only("ace-finance", part, ["finer", "formula", "formula-train"])
    folder = data / "ace-finance"
    if part in ("", "finer"):
        return dataset_of("ace-finance", part, flat(lines(folder / "finer_val_first250.jsonl", _finer)))
    name = "formula_val_300.jsonl" if part == "formula" else "formula_train_500.jsonl"
    return dataset_of("ace-finance", part, lines(folder / name, partial(_formula, part)))


def bbh(data: Path, part: str) -> Dataset:
    """BIG-Bench Hard: a task such as `navigate`, or all 13; an option's text is the choice, not its letter.

    Raises BadInput for malformed records, UnknownName for another part.
    """
    tasks = sorted([*BBH, *FREE_BBH])
    only("bbh", part, tasks)
    cases = flat([_bbh_task(data / "bbh" / f"{task}.json") for task in ([part] if part else tasks)])
    return dataset_of("bbh", part, cases)


def gsm8k(data: Path, part: str) -> Dataset:
    """GSM8K: the target is the number after "####", without thousands commas.

    Raises BadInput for malformed records, UnknownName for a part: there are none.
    """
    only("gsm8k", part, [])
    return dataset_of("gsm8k", part, lines(data / "gsm8k" / "train_first1000.jsonl", _word_problem))


def game24(data: Path, part: str) -> Dataset:
    """Game of 24: the target is 24, tag `numbers` has the four numbers, `solved` the share of people.

    Raises BadInput for malformed records, UnknownName for a part: there are none.
    """
    only("game24", part, [])
    columns = ["Rank", "Puzzles", "Solved rate"]
    return dataset_of("game24", part, table(data / "game24" / "24.csv", columns, _puzzle))


def dynamic_cheatsheet(data: Path, part: str) -> Dataset:
    """Dynamic Cheatsheet: equations to balance; `log`: 139 steps, whose items are the cheatsheet's entries.

    Any operators that give the right-hand side are right, the target is one way. Raises BadInput for
    malformed records, UnknownName for another part.
    """
    only("dynamic-cheatsheet", part, ["log"])
    name = "claude35_retrieval_synthesis" if part else "tasks"
    path = data / "dynamic-cheatsheet" / f"equation_balancer_{name}.jsonl"
    return dataset_of("dynamic-cheatsheet", part, lines(path, _equation))


def reflexion(data: Path, part: str) -> Dataset:
    """Reflexion: a case is an environment in a trial, its items the reflections so far.

    Parts are the trials: `0`, `4`, `9`, `14`. The data has no task text: the question is the environment's
    name. One environment's trials are one group.
    Raises BadInput for malformed records, UnknownName for another part.
    """
    only("reflexion-alfworld", part, TRIALS)
    folder = data / "reflexion-alfworld"
    chosen = [part] if part else list(TRIALS)
    cases = flat(
        [
            document(folder / f"env_results_trial_{trial}.json", list, partial(_environment, int(trial)))
            for trial in chosen
        ]
    )
    return dataset_of("reflexion-alfworld", part, cases)


# -- one record ----------------------------------------------------------------------------------------


def _finer(record: Any, number: int) -> list[Case]:
    options = _FINER_OPTIONS.search(record["context"])
    questions = [match["question"] for match in _FINER_QUESTION.finditer(record["context"])]
    targets = [target.strip() for target in record["target"].split(",")]
    if options is None or len(questions) != len(targets):
        raise ValueError(f"{len(questions)} questions for {len(targets)} targets")
    choices = tuple(tag.strip() for tag in options["tags"].split(",") if tag.strip())
    unknown = [target for target in targets if target not in choices]
    if unknown:
        raise ValueError(f"no option {unknown[0]!r}")
    return [
        Case(
            id=f"finer-{number}-{place}",
            question=question,
            target=target,
            choices=choices,
            group=f"finer-{number}",
        )
        for place, (question, target) in enumerate(zip(questions, targets, strict=True), 1)
    ]


def _formula(part: str, record: Any, number: int) -> Case:
    name = f"{part}-{number}"
    target = record["target"]
    float(target)  # a ValueError names the record
    return Case(id=name, question=record["context"], target=target, group=name)


def _bbh_task(path: Path) -> list[Case]:
    def examples(found: Any) -> list[Any]:
        listed = list(found["examples"])
        targets.update(example["target"] for example in listed if "target" in example)
        return listed

    targets: set[str] = set()
    return document(path, examples, lambda example, number: _bbh(path.stem, targets, example, number))


def _bbh(task: str, targets: set[str], example: Any, number: int) -> Case:
    question, _, listed = example["input"].partition("\nOptions:\n")
    target = example["target"]
    by_letter = {letter: text or item for letter, text, item in _BBH_OPTION.findall(listed)}
    lettered = "" not in by_letter and bool(by_letter)
    if lettered and target.strip("()") not in by_letter:
        raise ValueError(f"no option {target!r}")
    choices = tuple(by_letter.values()) if lettered else tuple(sorted(targets))
    return Case(
        id=f"{task}-{number}",
        question=question,
        target=by_letter[target.strip("()")] if lettered else target,
        choices=() if task in FREE_BBH else choices,
        group=f"{task}-{number}",
        tags={"task": task},
    )


def _word_problem(record: Any, number: int) -> Case:
    _, mark, target = record["answer"].rpartition("####")
    if not mark:
        raise ValueError("answer: no number after ####")
    target = target.strip().replace(",", "")
    float(target)  # a ValueError names the record
    return Case(id=f"gsm8k-{number}", question=record["question"], target=target, group=f"gsm8k-{number}")


def _puzzle(row: dict[str, str], _: int) -> Case:
    numbers = row["Puzzles"].split()
    if len(numbers) != 4 or not all(number.isdigit() for number in numbers):  # noqa: PLR2004 - the game's four
        raise ValueError(f"no four numbers: {row['Puzzles']!r}")
    name = f"game24-{int(row['Rank'])}"
    return Case(
        id=name,
        question=f"Use each of the numbers {', '.join(numbers)} once, with + - * / and brackets, to make 24.",
        target="24",
        group=name,
        tags={
            "numbers": " ".join(numbers),
            "rank": int(row["Rank"]),
            "solved": float(row["Solved rate"].removesuffix("%")) / 100,
        },
    )


def _equation(record: Any, _: int) -> Case:
    name = f"equation-{record['index']}"
    entries = _MEMORY.findall(record.get("cheatsheet_before", ""))
    items = tuple(
        Item(id=f"entry-{place}", text=entry.strip(), kind="entry") for place, entry in enumerate(entries, 1)
    )
    return Case(id=name, question=record["question"], target=record["target"], items=items, group=name)


def _environment(trial: int, record: Any, _: int) -> Case:
    name = record["name"]
    items = tuple(
        Item(id=f"reflection-{place}", text=text.strip(), source=name, kind="entry")
        for place, text in enumerate(record["memory"], 1)
    )
    return Case(
        id=f"trial-{trial}/{name}",
        question=name,
        items=items,
        group=name,
        turn=trial,
        tags={"trial": trial, "success": int(record["is_success"])},
    )
