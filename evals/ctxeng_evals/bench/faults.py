"""Faults: many processes writing to one playbook, and kill -9 while learning."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

from ctxeng.judge import judge_named
from ctxeng.learn import Learning
from ctxeng.playbook.delta import Add
from ctxeng.playbook.entry import Entry, mint
from ctxeng.playbook.learners.onbox import OnboxReflector
from ctxeng.playbook.store import PlaybookStore
from ctxeng.storage.progress import Progress
from ctxeng.train import Trainer
from ctxeng.turn import Answer, Request, Task, Truth, Turn, assistant, user
from ctxeng_evals.bench.table import Figures, Row

WRITERS, EACH, KILLS, TASKS = 8, 1_000, 20, 200


def run(seed: int = 0) -> Figures:
    """Deltas lost by 8 writers of 1,000 each, and runs that differ after 20 kills at random moments."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        lost = writers(Path(folder) / "shared.yaml", WRITERS, EACH)
        seconds = time.perf_counter() - start
        killed, same = kills(Path(folder), KILLS, seed)
    rows = (
        Row(f"deltas lost, {WRITERS} processes x {EACH:,}", lost, "", None, "", "0"),
        Row("  wall time of all of them", seconds, "s"),
        Row(f"kill -9 while learning, of {KILLS} starts", killed, "kills"),
        Row("  final playbook equal to the uninterrupted one", float(same), "", None, "", "1"),
    )
    return Figures("faults", rows, seed=seed)


def writers(path: Path, processes: int, each: int) -> int:
    """How many of the deltas that were acknowledged are missing afterwards."""
    spawn = get_context("spawn")
    started = [spawn.Process(target=_write, args=(path, writer, each)) for writer in range(processes)]
    for process in started:
        process.start()
    for process in started:
        process.join()
    if any(process.exitcode for process in started):
        return processes * each
    with PlaybookStore(path) as store:
        return processes * each - len(store.playbook)


def _write(path: Path, writer: int, each: int) -> None:
    with PlaybookStore(path) as store:
        for number in range(each):
            new = mint("rules", f"{writer}.{number}", store.playbook.taken)
            entry = Entry(id=new, section="rules", text=f"writer {writer} says {number}")
            store.apply([Add(entry=entry)], by=f"writer-{writer}")


def kills(folder: Path, count: int, seed: int) -> tuple[int, bool]:
    """How often a learning run was killed, and whether it ended in the uninterrupted run's playbook."""
    whole, other = folder / "whole", folder / "killed"
    learn(whole)
    draw = random.Random(seed)  # noqa: S311 - seeded
    progress, killed = other / "run" / "progress.jsonl", 0
    command = [sys.executable, "-c", f"from ctxeng_evals.bench.faults import learn; learn({str(other)!r})"]
    for _ in range(count):
        before = progress.stat().st_size if progress.exists() else 0
        process = subprocess.Popen(command)  # noqa: S603 - our own interpreter
        # wait until it learns: a kill during import would prove nothing
        while process.poll() is None and (progress.stat().st_size if progress.exists() else 0) <= before:
            time.sleep(0.001)
        time.sleep(draw.random() * 0.02)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
    subprocess.run(command, check=True)  # noqa: S603 - our own interpreter
    return killed, (whole / "book.yaml").read_bytes() == (other / "book.yaml").read_bytes()


def learn(folder: Path | str) -> None:
    """A learning run of 200 tasks with a rote model; it resumes what an earlier one left."""
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    store = PlaybookStore(path / "book.yaml")
    store.open()

    def solve(task: Task, turn_id: str) -> Turn:
        known = {entry.when: entry.text for entry in store.playbook.own}
        text = known.get(task.request.query.text, "?")
        return Turn(id=turn_id, request=task.request, answer=Answer(message=assistant(text)))

    tasks = [
        Task(id=f"t{n}", request=Request(query=user(f"question {n % 150}")), truth=Truth(target=f"{n % 150}"))
        for n in range(TASKS)
    ]
    learning = Learning(store, judge_named("exact"), OnboxReflector(origin="trusted"))
    Trainer(solve, learning, Progress(path / "run" / "progress.jsonl"), window=2).run(tasks)
