"""The stream trainer: offline, online and eval-only runs over tasks, resumable after a kill at any moment."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal
from uuid import uuid4

from ctxeng.errors import BadInput, BadTask
from ctxeng.learn import Learned, Learning
from ctxeng.playbook.delta import DELTAS
from ctxeng.protocols import Proposal
from ctxeng.record import slim
from ctxeng.storage.progress import Progress
from ctxeng.turn import Edited, Labelled, Observed, Task, Turn, Unlabelled, Usage, add_usage

Solve = Callable[[Task, str], Turn]  # a task and the turn's id
Mode = Literal["online", "offline", "eval"]
ANSWERED, LEARNED, APPLIED, VALIDATED = "answered", "learned", "applied", "validated"
RUN, KEPT = "run", "kept"


@dataclass(frozen=True)
class Scored:
    """How one task went."""

    task: str
    turn: str
    score: float | None
    error: str = ""
    tokens: int = 0


@dataclass(frozen=True)
class Tick:
    """Progress, for whoever shows it: a window answered, deltas landed, or a validation done."""

    kind: Literal["answered", "learned", "validated"]
    done: int
    total: int
    scored: tuple[Scored, ...] = ()
    learned: Learned | None = None
    validation: float | None = None
    resumed: bool = False


@dataclass
class Report:
    """What a run came to."""

    scored: list[Scored] = field(default_factory=list)
    validations: list[tuple[str, float]] = field(default_factory=list)
    usage: dict[str, Usage] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    best: str = ""

    @property
    def accuracy(self) -> float | None:
        """The mean score of the tasks that could be judged."""
        scores = [each.score for each in self.scored if each.score is not None]
        return sum(scores) / len(scores) if scores else None

    def curve(self, parts: int = 5) -> list[float]:
        """Mean scores of equal parts of the stream, in order: the learning curve."""
        scores = [each.score for each in self.scored if each.score is not None]
        cuts = [len(scores) * part // parts for part in range(parts + 1)]
        return [sum(scores[a:b]) / (b - a) for a, b in pairwise(cuts) if b > a]


@dataclass(frozen=True)
class Trainer:
    """Runs tasks through `solve` and learns from them.

    online: each window of tasks is answered with the playbook as it is, then learned from (one epoch).
    offline: `epochs` passes, learning as it goes; validated every `validate_every` tasks, and the best
    version kept. eval: answers only. `every`: turns per learning step (ACE's curator frequency).
    Tasks of one group are never split between windows, so that their labels come out together.
    """

    solve: Solve
    learning: Learning
    progress: Progress
    mode: Mode = "online"
    epochs: int = 1
    window: int = 15
    every: int = 1
    validation: Sequence[Task] = ()
    validate_every: int = 100
    on_tick: Callable[[Tick], None] | None = None

    def run(self, tasks: Sequence[Task]) -> Report:
        """The report of the whole run, of which some may have been done before a kill."""
        if self.mode != "eval" and self.learning.approve == "human":
            raise BadInput("a stream cannot wait for a person; learn candidates: `approve: candidate`")
        done = self.progress.read()
        if RUN not in done:
            # a name of its own, for two runs over one playbook are two runs wherever their files lie
            self.progress.add(RUN, {"id": uuid4().hex})
            done = self.progress.read()
        report = Report()
        total = len(tasks) * (self.epochs if self.mode == "offline" else 1)
        seen = 0
        if self.mode == "offline" and self.validation:
            self._validate("start", done, report, total)
        for epoch in range(self.epochs if self.mode == "offline" else 1):
            for number, batch in enumerate(self._windows(tasks)):
                key = f"{epoch}.{number}"
                before = seen
                seen += len(batch)
                turns = self._answer(key, batch, done, report, seen, total)
                if self.mode != "eval":
                    self._learn(key, turns, done, report, seen, total)
                due = seen // self.validate_every > before // self.validate_every or seen == total
                if self.mode == "offline" and self.validation and due:
                    self._validate(key, done, report, total)
        self._keep_best(report, done)
        self.learning.store.commit()
        return report

    def _windows(self, tasks: Sequence[Task]) -> Iterator[list[Task]]:
        size = self.window if self.mode == "online" else self.every
        batch: list[Task] = []
        apart(tasks)
        for task in tasks:
            together = bool(batch) and bool(task.group) and task.group == batch[-1].group
            if len(batch) >= size and not together:
                yield batch
                batch = []
            batch.append(task)
        if batch:
            yield batch

    def _answer(
        self, key: str, batch: Sequence[Task], done: dict[str, Any], report: Report, seen: int, total: int
    ) -> list[Turn]:
        resumed = f"{ANSWERED} {key}" in done
        if resumed:
            turns = [Turn.model_validate(turn) for turn in done[f"{ANSWERED} {key}"]["turns"]]
        else:
            turns = [
                slim(self.learning.judged(self.solve(task, turn_id(key, task)), task.truth)) for task in batch
            ]
            self.progress.add(f"{ANSWERED} {key}", {"turns": [_dump(turn) for turn in turns]})
        scored = tuple(_scored(task, turn) for task, turn in zip(batch, turns, strict=True))
        report.scored += scored
        for turn in turns:
            report.usage = add_usage(report.usage, turn.usage)
        self._tell(Tick("answered", seen, total, scored, resumed=resumed))
        return turns

    def _learn(
        self, key: str, turns: Sequence[Turn], done: dict[str, Any], report: Report, seen: int, total: int
    ) -> None:
        for part in range(0, len(turns), self.every):
            step = f"{LEARNED} {key}.{part}"
            resumed = step in done
            if resumed:
                record = done[step]
            else:
                record = _proposed(self.learning.propose(turns[part : part + self.every]))
                self.progress.add(step, record)
            report.failures += record["failures"]
            report.usage = add_usage(report.usage, _spent(record))
            # idempotent by its key: a kill between the two lines above and below loses nothing
            deltas = DELTAS.validate_python(record["deltas"])
            if f"{APPLIED} {step}" in done:
                learned = _learned(done[f"{APPLIED} {step}"])
            else:
                learned = self.learning.apply(
                    deltas, by="learn", why=f"step {key}", key=f"{done[RUN]['id']}:{step}"
                )
                self.progress.add(f"{APPLIED} {step}", _came(learned))
            report.refused += learned.refused
            self._tell(Tick("learned", seen, total, learned=learned, resumed=resumed))

    def _validate(self, key: str, done: dict[str, Any], report: Report, total: int) -> None:
        step = f"{VALIDATED} {key}"
        if step in done:
            version, score = done[step]["version"], done[step]["score"]
        else:
            version = self.learning.store.playbook.version
            judged = [
                self.learning.judged(self.solve(t, turn_id(f"v{key}", t)), t.truth) for t in self.validation
            ]
            scores = [s for s in (score_of(turn) for turn in judged) if s is not None]
            score = sum(scores) / len(scores) if scores else 0.0
            spent: dict[str, Usage] = {}
            for turn in judged:
                spent = add_usage(spent, turn.usage)
            record = {"version": version, "score": score, "usage": _plain(spent)}
            self.progress.add(step, record)
            done[step] = record
        report.usage = add_usage(report.usage, _spent(done[step]))
        report.validations.append((version, score))
        self._tell(Tick("validated", len(report.scored), total, validation=score))

    def _keep_best(self, report: Report, done: dict[str, Any]) -> None:
        """Offline with validation: the best version stays, the earliest among equals; decided once."""
        if not report.validations:
            return
        best, score = max(report.validations, key=lambda item: item[1])
        report.best = best
        if KEPT not in done and score > report.validations[-1][1]:
            self.learning.store.rollback(best, by="learn")
        if KEPT not in done:
            self.progress.add(KEPT, {"version": best})

    def _tell(self, tick: Tick) -> None:
        if self.on_tick is not None:
            self.on_tick(tick)


def apart(tasks: Sequence[Task]) -> None:
    """Raises BadTask where a group's tasks do not stand together: its labels would come out too early."""
    closed: set[str] = set()
    before = ""
    for task in tasks:
        if task.group != before and task.group in closed:
            raise BadTask(f"task {task.id}: the tasks of group {task.group!r} must follow one another")
        closed |= {before} if before else set()
        before = task.group


def turn_id(key: str, task: Task) -> str:
    """An id that follows from the place in the run, so that a resumed run gives the same."""
    return hashlib.sha256(f"{key}\0{task.id}".encode()).hexdigest()[:16]


def score_of(turn: Turn) -> float | None:
    """The score its feedback holds, or None."""
    match turn.feedback:
        case Labelled(score=score) | Observed(score=score) | Edited(score=score):
            return score
        case Unlabelled():
            return None


def _scored(task: Task, turn: Turn) -> Scored:
    return Scored(task.id, turn.id, score_of(turn), turn.error, turn.context.tokens)


def _dump(turn: Turn) -> dict[str, Any]:
    return turn.model_dump(mode="json")


def _proposed(proposal: Proposal) -> dict[str, Any]:
    return {
        "deltas": DELTAS.dump_python(proposal.deltas, mode="json"),
        "usage": _plain(proposal.usage),
        "failures": list(proposal.failures),
    }


def _plain(usage: Mapping[str, Usage]) -> dict[str, Any]:
    return {role: value.model_dump() for role, value in usage.items()}


def _spent(record: Mapping[str, Any]) -> dict[str, Usage]:
    return {role: Usage.model_validate(usage) for role, usage in record.get("usage", {}).items()}


def _came(learned: Learned) -> dict[str, Any]:
    deltas = DELTAS.dump_python(learned.applied, mode="json")
    return {"applied": deltas, "refused": list(learned.refused), "version": learned.version}


def _learned(record: dict[str, Any]) -> Learned:
    deltas = DELTAS.validate_python(record["applied"])
    return Learned(deltas, tuple(record["refused"]), (), record["version"])
