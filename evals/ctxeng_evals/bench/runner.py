"""What the evaluation runner costs and survives: a no-op subject, 100,000 cases, kill -9, processes, Ray."""

from __future__ import annotations

import importlib.util
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ctxeng_evals.bench.table import Figures, Row
from ctxeng_evals.plan import Plan
from ctxeng_evals.run import Run
from ctxeng_evals.suite import Suite

KILLS = 10
_SUBJECT = '''"""Subjects of the runner's own benchmark."""

import time


def nothing(case, items):
    """No work at all."""
    return ""


def something(case, items):
    """A little work."""
    time.sleep(0.001)
    return case.id
'''


def run(seed: int = 0) -> Figures:
    """Overhead on a no-op subject, memory over 100,000 cases, kills that a run survives, equal engines."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "runner_subjects.py").write_text(_SUBJECT, encoding="utf-8")
        rows = [*_overhead(folder), *_memory(folder), *_kills(folder, seed), *_engines(folder)]
    return Figures("runner", tuple(rows), seed=seed)


def plan(folder: Path, function: str, cases: int, **fields: object) -> Plan:
    """A plan over generated cases whose only subject is a function of the benchmark."""
    suite = {
        "suite": "runner",
        "dataset": {"generator": "kv", "with": {"count": cases, "pairs": 2}},
        "subjects": {"s": {"python": f"runner_subjects:{function}"}},
        "metrics": ["exact"],
        **fields,
    }
    return Plan(Suite.model_validate(suite), folder)


def _overhead(folder: Path) -> list[Row]:
    """Time a case above making the case and calling the subject in a bare loop."""
    made = plan(folder, "nothing", 5_000)
    cases = made.dataset("kv").cases
    start = time.perf_counter()
    for case in cases:
        _ = case.id
    bare = (time.perf_counter() - start) / len(cases)
    rows = []
    for workers in (1, 4):
        start = time.perf_counter()
        Run(plan(folder, "nothing", 5_000, workers=workers), folder / f"over{workers}").go()
        spent = (time.perf_counter() - start) / len(cases) - bare
        said = f"runner a case, no-op subject, {workers} thread{'s' * (workers > 1)}, summary included"
        rows.append(Row(said, 1e6 * spent, "us", target="<= 150"))
    return rows


def _memory(folder: Path) -> list[Row]:
    """Peak memory of 100,000 cases against 10,000, each in a process of its own."""
    small, large = (_peaks(folder, count) for count in (10_000, 100_000))
    return [
        Row("peak memory of the run, 100,000 cases against 10,000", large[0] / small[0], "x", target="1"),
        Row("  the same with the summary, which keeps each score", large[1] / small[1], "x"),
        Row("  with the summary, 100,000 cases", large[1] / 1024, "MiB"),
    ]


def _peaks(folder: Path, count: int) -> tuple[float, float]:
    """Peak KiB when the last case was done, and at the end; Linux's unit."""
    script = (
        "import sys, pathlib, resource; from ctxeng_evals.bench.runner import plan, Run;"
        f"folder = pathlib.Path({str(folder)!r});"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; seen = [0];"
        "note = lambda pace: seen.__setitem__(0, peak()) if pace.done == pace.total else None;"
        f"Run(plan(folder, 'nothing', {count}, workers=1), folder / 'm{count}', on_pace=note).go();"
        "print(seen[0], peak())"
    )
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, env=_environment()
    )
    run, whole = map(float, done.stdout.split())
    return run, whole


def _kills(folder: Path, seed: int) -> list[Row]:
    """A run of 1,000 cases killed at random moments and begun again, against an uninterrupted one."""
    draw = random.Random(seed)  # noqa: S311 - seeded
    script = (
        "import sys, pathlib; from ctxeng_evals.bench.runner import plan, Run;"
        f"folder = pathlib.Path({str(folder)!r});"
        "Run(plan(folder, 'something', 1000, workers=2), folder / sys.argv[1]).go()"
    )
    hits = 0
    for _ in range(20 * KILLS):
        job = subprocess.Popen([sys.executable, "-c", script, "killed"], env=_environment())  # noqa: S603
        try:
            job.wait(draw.uniform(0.2, 2.0))
        except subprocess.TimeoutExpired:
            job.send_signal(signal.SIGKILL)
            job.wait()
            hits += 1
        if hits == KILLS:
            break
    for name in ("killed", "whole"):
        subprocess.run([sys.executable, "-c", script, name], check=True, env=_environment())  # noqa: S603
    same = (folder / "killed/results.jsonl").read_bytes() == (folder / "whole/results.jsonl").read_bytes()
    return [
        Row("kill -9 in a run of 1,000 cases", hits, "kills", target=str(KILLS)),
        Row("result file equal to the uninterrupted one", float(same), "", target="1"),
    ]


def _engines(folder: Path) -> list[Row]:
    """Other engines against threads: the same bytes, also from two Ray workers where Ray is installed."""
    Run(plan(folder, "something", 300, workers=2), folder / "threads").go()
    wanted = (folder / "threads" / "results.jsonl").read_bytes()
    engines = ["processes", *(["ray"] if importlib.util.find_spec("ray") else [])]
    rows = []
    for engine in engines:
        Run(plan(folder, "something", 300, workers=2, engine=engine), folder / engine).go()
        same = (folder / engine / "results.jsonl").read_bytes() == wanted
        rows.append(Row(f"{engine}, two workers: results equal to threads", float(same), "", target="1"))
    return rows


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
