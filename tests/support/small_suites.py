"""Small suites for tests: a JSONL dataset, functions as subjects, a run in a folder."""

import json
import os
import signal
import time
from pathlib import Path

from ctxeng_evals.plan import Plan
from ctxeng_evals.run import Run
from ctxeng_evals.suite import Suite

LINES = [
    {
        "id": f"c{number}",
        "question": f"What does box {number} hold?",
        "target": f"thing-{number}",
        "items": [
            {"id": f"g{number}", "text": f"Box {number} holds thing-{number}."},
            {"id": f"d{number}", "text": f"The weather of day {number} was fine and nobody came by."},
        ],
        "gold": [f"g{number}"],
        "group": f"r{number // 2}",
        "tags": {"parity": number % 2},
    }
    for number in range(12)
]


def dataset(folder, lines=LINES):
    (folder / "cases.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return {"jsonl": "cases.jsonl"}


def plan(folder, **fields):
    if "dataset" not in fields:
        fields["dataset"] = dataset(folder)
    fields.setdefault("subjects", {"bm25": {"select": "bm25"}, "recency": {"select": "recency"}})
    fields.setdefault("metrics", ["all_gold", "recall", "tokens"])
    fields.setdefault("counter", "estimate")
    narrowed = {key: fields.pop(key) for key in ("limit", "only", "columns_like") if key in fields}
    return Plan(Suite.model_validate({"suite": "test", **fields}), folder, **narrowed)


def run(made, out, **options):
    job = Run(made, out, **options)
    return job.go()


def results(out):
    return (out / "results.jsonl").read_bytes()


# -- functions as subjects (python: small_suites:name)


def target(case, items):
    """The right answer."""
    return case.target


def fails_sometimes(case, items):
    """Wrong for one, an error for another."""
    if case.id == "c3":
        raise RuntimeError("out of paper")
    return "nothing" if case.id == "c4" else case.target


def fails_once(case, items, flag):
    """An error until a file is there."""
    if case.id == "c5" and not Path(flag).exists():
        raise RuntimeError("not yet")
    return case.target


def slow(case, items, seconds=0.002):
    """Takes its time."""
    time.sleep(seconds)
    return case.target


def kills(case, items, at, flag):
    """Kills its process, once, at a case."""
    if case.id == at and not Path(flag).exists():
        Path(flag).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return case.target


def echo(case, items):
    """The text of its items."""
    return " ".join(item.text for item in items)


def ids(case, items):
    """The ids of the gold items."""
    return list(case.gold)
