"""A run of `ctxeng learn`: put together from options, conducted, and resumed where one was cut off."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ctxeng.cli import runs
from ctxeng.cli.common import note
from ctxeng.cli.interrupt import interruptible
from ctxeng.cli.live import Watch, watch
from ctxeng.cli.solver import Solver
from ctxeng.errors import BadInput, StoreLocked, UnknownName
from ctxeng.extras import needs
from ctxeng.judge import judge_named
from ctxeng.learn import Learning
from ctxeng.orchestrator import Orchestrator
from ctxeng.playbook.book import Playbook
from ctxeng.playbook.learners.ace import AceLearner
from ctxeng.settings import App, read
from ctxeng.settings_checks import STRATEGIES
from ctxeng.settings_schema import Settings, overridden
from ctxeng.storage.atomic import write_atomic
from ctxeng.storage.lock import ProcessLock
from ctxeng.train import Mode, Report, Trainer
from ctxeng.turn import Task

_NEW = """\
# A playbook of ctxeng: what was learned, one entry a lesson. Edit it as you like.
# Show it: ctxeng playbook show {file}   Take the last step back: ctxeng playbook undo {file}
ctxeng: 1
playbook: {name}
entries: []
"""


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    report: Report
    before: Report | None
    old: Playbook
    new: Playbook
    seen: Watch
    seconds: float


@dataclass(frozen=True)
class Session:
    """What a run works on, and with."""

    path: Path
    settings: Settings
    mode: Mode
    tasks: Sequence[Task]
    validation: Sequence[Task] = ()
    baseline: bool = False

    @cached_property
    def app(self) -> App:
        """The app of the playbook's file."""
        return App(self.path, self.settings)

    @cached_property
    def orchestrator(self) -> Orchestrator:
        """What answers."""
        return self.app.orchestrator()

    @cached_property
    def learning(self) -> Learning:
        """What learns. ACE's retries answer through the same orchestrator."""
        learning = self.app.learning
        learner = learning.learner
        if not isinstance(learner, AceLearner):
            return learning
        retry = Solver(self.orchestrator, learning.judge).retry
        return replace(learning, learner=replace(learner, retry=retry))

    def check(self) -> None:
        """Raises BadInput, MissingKey or MissingExtra for what cannot work, before anything is written."""
        needs("langgraph")
        if isinstance(self.app.learner, AceLearner) and self.app.models.role("reflect").name == "onbox":
            raise BadInput(
                "strategy ace reflects with a language model, and reflect is onbox; give --model "
                "<provider>/<model>, or `models: {reflect: ...}` in the playbook's file"
            )

    def run(self, *, fresh: bool) -> runs.Run:
        """The unfinished run of the same tasks and options, else a new one; an absent playbook is made."""
        if not self.path.exists():
            name = self.path.name.removesuffix(self.path.suffix)
            write_atomic(self.path, _NEW.format(file=self.path.name, name=json.dumps(name)))
        folder = self.path.parent / ".ctxeng" / "runs"
        wanted = runs.fingerprint([*self.tasks, *self.validation], self._options())
        store = self.app.store
        found = runs.unfinished(folder, wanted)
        if found and not fresh:
            return found[0]
        for run in found:
            run.abandon()
        version = store.playbook.version
        facts = {"playbook": self.path.name, "tasks": len(self.tasks), "mode": self.mode, "version": version}
        facts["entries"] = len(store.playbook.own)
        return runs.start(folder, wanted, f"{version}:{store.stats().records}", facts)

    def conduct(self, run: runs.Run, *, as_json: bool) -> Outcome:
        """Answer and learn until the tasks are done. Raises KeyboardInterrupt with everything kept."""
        began = time.monotonic()
        with _alone(run):
            old = self._old(run)
            before = self._before(run, as_json=as_json) if self.baseline else None
            total = len(self.tasks) * (self.settings.learning.epochs if self.mode == "offline" else 1)
            label = "answering" if self.mode == "eval" else "learning"
            with watch(total, label, as_json=as_json) as seen, interruptible() as check:
                report = self._trainer(run, seen, check).run(self.tasks)
        return Outcome(report, before, old, self.app.store.playbook, seen, time.monotonic() - began)

    def close(self) -> None:
        """Write the YAML, and let go of what answers."""
        if "orchestrator" in vars(self):
            self.orchestrator.close()
        elif "app" in vars(self) and "store" in vars(self.app):
            self.app.store.close()

    def _trainer(self, run: runs.Run, seen: Watch, check: Callable[[], None]) -> Trainer:
        given = self.settings.learning

        def answered() -> None:
            seen.answered()
            check()

        solver = Solver(self.orchestrator, self.learning.judge, self.tasks, answered)
        return Trainer(
            solver.solve,
            self.learning,
            run.progress,
            self.mode,
            given.epochs,
            given.window,
            given.every,
            self.validation,
            on_tick=seen.tick,
        )

    def _before(self, run: runs.Run, *, as_json: bool) -> Report:
        """The same stream with the playbook as it was at the start; done before anything is learned."""
        with watch(len(self.tasks), "before", as_json=as_json, quiet=True) as seen:
            solver = Solver(
                self.orchestrator, self.learning.judge, self.tasks, seen.answered, prefix="before-"
            )
            trainer = Trainer(solver.solve, self.learning, run.baseline, "eval", on_tick=seen.tick)
            return trainer.run(self.tasks)

    def _old(self, run: runs.Run) -> Playbook:
        """The playbook as the run found it at its first start."""
        store = self.app.store
        try:
            return store.state_at(run.record["version"])
        except UnknownName:  # an empty file has no version in the journal
            return Playbook(store.playbook.name) if not run.record["entries"] else store.playbook

    def _options(self) -> dict[str, Any]:
        settings = self.settings.model_dump(mode="json", exclude={"entries", "playbook"})
        counts = {"tasks": len(self.tasks), "validation": len(self.validation)}
        return {
            "playbook": self.path.name,
            "mode": self.mode,
            "baseline": self.baseline,
            "settings": settings,
            **counts,
        }


def settings_of(path: Path, options: dict[str, Any]) -> Settings:
    """The file's settings, or the defaults, with what the command line says. Raises BadInput."""
    given = overridden(read(path) if path.exists() else Settings(), options)
    if given.learning.strategy not in STRATEGIES:
        raise UnknownName("strategy", given.learning.strategy, STRATEGIES)
    judge_named(given.learning.judge)
    if given.learning.approve == "human":
        note("approve: human: what is learned from a stream waits as candidates for you to make active")
        given = overridden(given, {"learning.approve": "candidate"})
    return given


@contextmanager
def _alone(run: runs.Run) -> Iterator[None]:
    """Holds the run's lock. Raises BadInput where another process works on the same run."""
    lock = ProcessLock(run.folder / "lock", timeout=0.2)
    with ExitStack() as stack:
        stack.callback(lock.close)
        try:
            stack.enter_context(lock)
        except StoreLocked as error:
            raise BadInput(
                f"another process works on run {run.id}; wait for it, or start over with --fresh"
            ) from error
        yield
