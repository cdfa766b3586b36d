"""One process's workbench: datasets and solvers opened once, slots worked into records."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ctxeng.turn import Usage
from ctxeng_evals.case import Case, Dataset, Generator, Outcome, Solver
from ctxeng_evals.generators.registry import made
from ctxeng_evals.metrics import Metric, Seen, metric
from ctxeng_evals.plan import Plan, Slot
from ctxeng_evals.subjects.build import Builder
from ctxeng_evals.tally import SET_METRICS

Record = dict[str, Any]
_PIECES = 100  # of a window that a record lists; what all of them cost is in `spent`


@dataclass
class Workbench:
    """Works slots. Whatever a subject or a metric raises makes a failed case, never a score of 0."""

    plan: Plan
    out: Path
    mode: Literal["auto", "record", "replay"] = "auto"
    _solvers: dict[int, Solver] = field(default_factory=dict, init=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False)

    def __post_init__(self) -> None:
        names = [name for name in self.plan.suite.metrics if name not in SET_METRICS]
        self._metrics: list[Metric] = [metric(name) for name in names]
        self._readers = {name: self._reader(name) for name in self.plan.suite.sources}

    def __reduce__(self) -> tuple[Any, ...]:
        return Workbench, (self.plan, self.out, self.mode)  # a worker opens datasets and solvers itself

    def check(self) -> None:
        """Open every column's subject. Raises what is wrong with any of them before a case is paid for."""
        for column in range(len(self.plan.columns)):
            self._solver(column)

    def work(self, batch: Sequence[Slot]) -> list[Record]:
        """A record for each slot, in order."""
        return [self._record(slot) for slot in batch]

    def _record(self, slot: Slot) -> Record:
        column = self.plan.columns[slot.column]
        dataset = self.plan.datasets[column.dataset]
        case = dataset.cases[slot.case]
        start = time.perf_counter()
        outcome, error = Outcome(), ""
        try:
            outcome = self._read(self._solver(slot.column)(case), case, dataset, column.dataset)
        except Exception as caught:  # noqa: BLE001 - a subject may raise anything; the case has failed
            error = _sentence(caught)
        seconds = time.perf_counter() - start
        scores: dict[str, float | None] = {}
        if not error:
            scores, error = self._scored(Seen(case, outcome, dataset))
        return _plain(slot, case, outcome, scores, error) | {"seconds": round(seconds, 6)}

    def _read(self, outcome: Outcome, case: Case, dataset: Dataset, name: str) -> Outcome:
        """The outcome with what the generator's reference solver reads from the selected items."""
        reader = self._readers[name]
        if reader is None or outcome.answer is not None:
            return outcome
        chosen = set(outcome.selected)
        items = [item for item in dataset.items(case) if item.id in chosen]
        return outcome.model_copy(update={"answer": reader.read(case, items)})

    def _scored(self, seen: Seen) -> tuple[dict[str, float | None], str]:
        scores: dict[str, float | None] = {}
        for each in self._metrics:
            try:
                scores[each.name] = each.score(seen)
            except Exception as caught:  # noqa: BLE001 - a metric that crashes is a failed case
                return {}, f"metric {each.name}: {_sentence(caught)}"
        return scores, ""

    def _solver(self, column: int) -> Solver:
        found = self._solvers.get(column)
        if found is not None:
            return found
        with self._lock:
            if column not in self._solvers:
                given = self.plan.columns[column]
                builder = Builder(self.plan.suite, self.plan.folder, self.out, self.mode)
                self._solvers[column] = builder.build(given).open(self.plan.datasets[given.dataset])
            return self._solvers[column]

    def _reader(self, name: str) -> Generator | None:
        spec = self.plan.suite.sources[name]
        return made(spec.generator, spec.parameters)[0] if spec.generator else None


def _plain(slot: Slot, case: Case, outcome: Outcome, scores: dict[str, float | None], error: str) -> Record:
    """The line in the results. What follows from the dataset (question, target, texts) is not repeated."""
    record: Record = {"slot": slot.index, "column": slot.column, "case": case.id}
    if slot.repeat:
        record["repeat"] = slot.repeat
    if case.group:
        record["group"] = case.group
    record["scores"] = scores
    if error:
        record["error"] = error
    if outcome.answer is not None:
        record["answer"] = outcome.answer
    if outcome.confidence is not None:
        record["confidence"] = outcome.confidence
    if outcome.window:
        spent: dict[str, int] = {}
        for piece in outcome.window:
            spent[piece.source] = spent.get(piece.source, 0) + piece.tokens
        record["spent"] = spent
        record["window"] = [
            [p.source, p.kind, p.ref, p.tokens, *([p.text] if p.text else [])]
            for p in outcome.window[:_PIECES]
        ]
        if len(outcome.window) > _PIECES:
            record["more"] = len(outcome.window) - _PIECES
    if outcome.usage:
        record["usage"] = {
            role: usage.model_dump(exclude_defaults=True) for role, usage in outcome.usage.items()
        }
    return record


def billed(record: Record) -> Usage:
    """What a record cost, all roles together."""
    return sum((Usage.model_validate(usage) for usage in record.get("usage", {}).values()), Usage())


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")
