"""Learning curves on real streams with the onbox default: before, by fifths, what was learned."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from ctxeng.errors import ModelError, WindowTooSmall
from ctxeng.protocols import Allowance
from ctxeng.settings import App
from ctxeng.settings_schema import Settings
from ctxeng.storage.progress import Progress
from ctxeng.train import Mode, Report, Trainer
from ctxeng.turn import Section, Task, Turn
from ctxeng_evals.bench.table import Figures, Row
from ctxeng_evals.datasets import load_tasks

RESAMPLES = 1_000


def run(dataset: str = "finer", limit: int | None = None, seed: int = 0) -> Figures:
    """Test-then-learn over the dataset, and the same stream without learning, with bootstrap intervals."""
    tasks = load_tasks(dataset)[:limit]
    with tempfile.TemporaryDirectory() as folder:
        before, _ = stream(tasks, Path(folder) / "before", "eval")
        after, app = stream(tasks, Path(folder) / "after", "online")
        blind, blind_app = stream(tasks[:40], Path(folder) / "blind", "online", judge="none")
        playbook = app.store.playbook
        tokens = sum(app.models.role("answer").price(section) for section in _shown(app, tasks[0]))
        rows = [
            _accuracy("before: no learning", before, tasks, seed),
            _accuracy("test-then-learn, whole stream", after, tasks, seed),
            *(Row(f"  fifth {number}", value, "") for number, value in enumerate(after.curve(5), 1)),
            Row("  second half", after.curve(2)[1], ""),
            Row("entries at the end", len(playbook), ""),
            Row("tokens of all entries", tokens, "tokens"),
            Row("label-free: entries learned (a leak would make some)", len(blind_app.store.playbook), ""),
            Row("label-free: scores given", sum(s.score is not None for s in blind.scored), ""),
        ]
    failed = sum(bool(scored.error) for scored in after.scored)
    return Figures(f"stream {dataset}, n {len(tasks)}", tuple(rows), (f"failed tasks: {failed}",), seed)


def stream(tasks: Sequence[Task], folder: Path, mode: Mode, judge: str = "exact") -> tuple[Report, App]:
    """One run on a fresh playbook; windows of one task, or of one group where tasks have groups."""
    folder.mkdir(parents=True)
    given = {"origin": "trusted", "judge": judge, "budget": {"entries": 10_000}}
    app = App(folder / "book.yaml", Settings.model_validate({"learning": given}))
    orchestrator = app.orchestrator()

    def solve(task: Task, turn_id: str) -> Turn:
        try:
            return orchestrator.invoke(task.request, want=task.want, turn_id=turn_id)
        except (ModelError, WindowTooSmall) as error:
            return Turn(id=turn_id, request=task.request, error=f"{type(error).__name__}: {error}")

    progress = Progress(folder / "run" / "progress.jsonl")
    trainer = Trainer(solve, app.learning, progress, mode, window=1, every=100)
    return trainer.run(tasks), app


def _shown(app: App, task: Task) -> list[Section]:
    return app.sources["playbook"].gather(task.request, Allowance(10**9, app.models.role("answer").price))


def _accuracy(name: str, report: Report, tasks: Sequence[Task], seed: int) -> Row:
    low, high = interval(report, tasks, seed)
    return Row(f"{name} [{low:.3f}, {high:.3f}]", report.accuracy or 0.0, "")


def interval(report: Report, tasks: Sequence[Task], seed: int) -> tuple[float, float]:
    """Bootstrap 95 % interval of the accuracy, over groups: tasks of one record are not independent."""
    groups: dict[str, list[float]] = {}
    for task, scored in zip(tasks, report.scored, strict=True):
        groups.setdefault(task.group or task.id, []).append(scored.score or 0.0)
    draw, values = random.Random(seed), list(groups.values())  # noqa: S311 - seeded
    means = sorted(
        mean(score for group in draw.choices(values, k=len(values)) for score in group)
        for _ in range(RESAMPLES)
    )
    return means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES)]
