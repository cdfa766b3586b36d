"""The stream trainer: modes, groups, validation, and the same result after a kill at any moment."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ctxeng.errors import BadTask
from ctxeng.judge import NoJudge, judge_named
from ctxeng.learn import Learning
from ctxeng.playbook.learners.onbox import OnboxReflector
from ctxeng.playbook.store import PlaybookStore
from ctxeng.storage.progress import Progress
from ctxeng.train import Trainer
from ctxeng.turn import Answer, Request, Task, Truth, Turn, Usage, assistant, user

ROOT = Path(__file__).parents[1]


def tasks(count, group=1):
    return [
        Task(
            id=f"task-{n}",
            request=Request(query=user(f"question {n % 7}")),
            truth=Truth(target=f"answer {n % 7}"),
            group=f"g{n // group}" if group > 1 else "",
        )
        for n in range(count)
    ]


class Rote:
    """Answers what the playbook says for the same question, and notes when it was asked."""

    def __init__(self, store):
        self.store = store
        self.asked = []

    def __call__(self, task, turn_id):
        self.asked.append((task.id, len(self.store.playbook)))
        known = {entry.when: entry.text for entry in self.store.playbook.entries}
        text = known.get(task.request.query.text, "?")
        return Turn(id=turn_id, request=task.request, answer=Answer(message=assistant(text)))


def trainer(folder, judge=None, **options):
    store = PlaybookStore(folder / "book.yaml")
    store.open()
    learning = Learning(store, judge or judge_named("exact"), OnboxReflector(origin="trusted"))
    solve = Rote(store)
    return Trainer(solve, learning, Progress(folder / "run" / "progress.jsonl"), **options), solve


def test_online_answers_a_window_first_and_learns_from_it_afterwards(tmp_path):
    run, solve = trainer(tmp_path, window=5)
    report = run.run(tasks(20))
    assert [size for _, size in solve.asked[:5]] == [0] * 5
    assert [size for _, size in solve.asked[5:10]] == [5] * 5
    assert report.curve(2)[1] > report.curve(2)[0]
    assert (
        report.accuracy == 13 / 20
    )  # seven questions, each wrong once: five in the first window, two in the next


def test_tasks_of_a_group_are_answered_before_any_of_their_labels_come_out(tmp_path):
    run, solve = trainer(tmp_path, window=1)
    run.run(tasks(12, group=4))
    assert [size for _, size in solve.asked[:4]] == [0] * 4
    assert len({size for _, size in solve.asked[4:8]}) == 1


def test_offline_runs_epochs_validates_and_keeps_the_best_version(tmp_path):
    class Worsening(Rote):
        def __call__(self, task, turn_id):
            turn = super().__call__(task, turn_id)
            turn = turn.model_copy(update={"usage": {"answer": Usage(calls=1)}})
            if len(self.store.playbook) > 4:  # too much of a good thing
                return turn.model_copy(update={"answer": Answer(message=assistant("?"))})
            return turn

    run, _ = trainer(tmp_path, mode="offline", epochs=2, validation=tasks(7), validate_every=2)
    solve = Worsening(run.learning.store)
    object.__setattr__(run, "solve", solve)
    report = run.run(tasks(7))
    scores = [score for _, score in report.validations]
    assert max(scores) == pytest.approx(4 / 7)
    assert len(run.learning.store.playbook) == 4
    assert report.best == run.learning.store.playbook.version
    assert report.usage["answer"].calls == len(solve.asked)  # validation is paid for, too


def test_eval_changes_nothing(tmp_path):
    run, _ = trainer(tmp_path, mode="eval")
    assert run.run(tasks(5)).accuracy == 0
    assert len(run.learning.store.playbook) == 0


def test_without_labels_the_truth_is_never_looked_at(tmp_path):
    written = []
    for target in ("LABEL-ONE", "LABEL-TWO"):
        folder = tmp_path / target[-3:]
        folder.mkdir()
        run, _ = trainer(folder, judge=NoJudge())
        run.run([task.model_copy(update={"truth": Truth(target=target)}) for task in tasks(10)])
        log = (folder / "run" / "progress.jsonl").read_text().split("\n", 1)[1]  # less the run's own name
        text = log + "".join(file.read_text() for file in folder.glob("book*"))
        assert target not in text
        written.append(text)
    assert written[0] == written[1]
    assert len(run.learning.store.playbook) == 0


def test_a_task_that_fails_is_reported_as_failed_and_the_others_go_on(tmp_path):
    run, solve = trainer(tmp_path)

    def flaky(task, turn_id):
        if task.id == "task-3":
            return Turn(id=turn_id, request=task.request, error="ModelError: down")
        return solve(task, turn_id)

    object.__setattr__(run, "solve", flaky)
    report = run.run(tasks(8))
    assert [scored.error for scored in report.scored if scored.error] == ["ModelError: down"]
    assert len(report.scored) == 8


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path):
    class Stop(Exception):
        pass

    whole, other = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir(), other.mkdir()
    trainer(whole, window=3)[0].run(tasks(20))
    for stop_at in (2, 5, 9, 30):
        run, solve = trainer(other, window=3)
        calls = []

        def counted(task, turn_id, solve=solve, calls=calls, stop_at=stop_at):
            calls.append(task)
            if len(calls) > stop_at:
                raise Stop
            return solve(task, turn_id)

        object.__setattr__(run, "solve", counted)
        try:
            report = run.run(tasks(20))
        except Stop:
            continue
    assert len(report.scored) == 20
    assert report.refused == [], "what landed before the stop is not applied, or refused, again"
    assert (whole / "book.yaml").read_bytes() == (other / "book.yaml").read_bytes()


SCRIPT = """
import sys; sys.path.insert(0, {root!r}); sys.path.insert(0, {tests!r})
from pathlib import Path
import test_train
run, solve = test_train.trainer(Path({folder!r}), window=3)
run.run(test_train.tasks(60))
"""


@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.slow)])
def test_kill_9_at_random_moments_gives_the_same_playbook(tmp_path, kills):
    whole, other = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir(), other.mkdir()
    trainer(whole, window=3)[0].run(tasks(60))
    chance = random.Random(kills)
    script = SCRIPT.format(root=str(ROOT), tests=str(ROOT / "tests"), folder=str(other))
    progress = other / "run" / "progress.jsonl"
    killed = 0
    for _ in range(kills):
        process = subprocess.Popen([sys.executable, "-c", script])
        before = progress.stat().st_size if progress.exists() else 0
        while process.poll() is None and (progress.stat().st_size if progress.exists() else 0) <= before:
            time.sleep(0.002)  # kill it while it learns, not while it imports
        time.sleep(chance.random() * 0.05)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
    subprocess.run([sys.executable, "-c", script], check=True)
    assert killed > 0
    assert (whole / "book.yaml").read_bytes() == (other / "book.yaml").read_bytes()
    assert (
        PlaybookStore(other / "book.yaml").open().version == PlaybookStore(whole / "book.yaml").open().version
    )


def test_a_group_whose_tasks_stand_apart_is_refused(tmp_path):
    scattered = [
        task.model_copy(update={"group": group}) for task, group in zip(tasks(3), "aba", strict=True)
    ]
    with pytest.raises(BadTask, match="must follow one another"):
        trainer(tmp_path)[0].run(scattered)


def test_offline_goes_back_to_the_empty_playbook_where_that_was_best(tmp_path):
    run, _ = trainer(tmp_path, mode="offline", validation=tasks(7), validate_every=2)

    def worse(task, turn_id):
        text = task.truth.target if not len(run.learning.store.playbook) else "?"
        return Turn(id=turn_id, request=task.request, answer=Answer(message=assistant(text)))

    object.__setattr__(run, "solve", worse)
    run.run(tasks(4))
    assert len(run.learning.store.playbook) == 0
