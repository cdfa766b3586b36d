"""Running a plan: cases in parallel, results in order, stopped by limits, resumed where it stopped."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ctxeng import __version__
from ctxeng.errors import BadInput
from ctxeng.storage.atomic import write_atomic
from ctxeng.storage.lock import ProcessLock
from ctxeng.turn import Usage
from ctxeng_evals.bench.table import machine
from ctxeng_evals.engine import Engine, default_workers
from ctxeng_evals.log import ResultLog
from ctxeng_evals.plan import Plan, Slot
from ctxeng_evals.summary import summarized
from ctxeng_evals.work import Record, Workbench, billed

HEADER, SUMMARY = "run.json", "summary.json"


@dataclass(frozen=True)
class Pace:
    """How far a run is: slots done of all, of them failed, and what was billed so far."""

    done: int
    total: int
    failed: int
    usage: Usage
    records: tuple[Record, ...] = ()


@dataclass
class Finished:
    """How a run ended: complete, or stopped by a limit, whose sentence `stopped` is."""

    done: int
    total: int
    failed: int
    usage: Usage
    stopped: str = ""

    @property
    def complete(self) -> bool:
        """Whether every slot is done."""
        return self.done >= self.total


@dataclass
class Run:
    """A plan's run in a folder of its own; the same plan in the same folder is gone on with.

    `on_pace` hears of every chunk. Cassettes are replayed or recorded as `mode` says.
    """

    plan: Plan
    out: Path
    mode: Literal["auto", "record", "replay"] = "auto"
    on_pace: Callable[[Pace], None] | None = None
    _usage: Usage = field(default_factory=Usage, init=False)
    _failed: int = field(default=0, init=False)

    def go(self) -> Finished:
        """Do what is left. Raises BadInput where the folder is another suite's, or a subject is wrong."""
        self.out.mkdir(parents=True, exist_ok=True)
        with ProcessLock(self.out / "run.lock"):
            self._claim()
            log = ResultLog(self.out)
            done, total = log.done(), self.plan.total()
            if done < total:
                bench = Workbench(self.plan, self.out, self.mode)
                bench.check()
                self._recall(log)
                with log:
                    stopped, done = self._work(bench, log, done, total)
            else:
                stopped = ""
            finished = Finished(done, total, self._failed, self._usage, stopped)
            if finished.complete:
                self.summarize()
            return finished

    def again(self) -> int:
        """Run the failed slots of a complete run once more, and say how many; columns that learn stay."""
        log = ResultLog(self.out)
        with ProcessLock(self.out / "run.lock"):
            self._claim()
            if log.done() < self.plan.total():
                raise BadInput(f"{self.out}: the run is not complete; go on with it before --rerun-failed")
            failed = {record["slot"] for record in log.records() if record.get("error")}
            bench = Workbench(self.plan, self.out, self.mode)
            slots = [
                slot
                for slot in self._slots()
                if slot.index in failed and slot.column not in self.plan.sequential
            ]
            with log:
                for slot in slots:
                    log.add(bench.work([slot]))
            self.summarize()
        return len(slots)

    def summarize(self) -> dict[str, Any]:
        """The run's figures, written to `summary.json` with machine and commit."""
        log = ResultLog(self.out)
        found = summarized(self.plan, log.records(), log.seconds())
        found |= {"machine": machine(), "version": __version__, "fingerprint": self.plan.fingerprint}
        write_atomic(self.out / SUMMARY, json.dumps(found, indent=1) + "\n")
        return found

    def _work(self, bench: Workbench, log: ResultLog, done: int, total: int) -> tuple[str, int]:
        suite, start = self.plan.suite, time.monotonic()
        workers = suite.workers or default_workers(suite.engine)
        for segment in self.plan.segments(done):
            engine = Engine("threads", 1) if segment.sequential else Engine(suite.engine, workers)
            records = engine.run(bench, segment.batches)
            try:
                for chunk in records:
                    self._count(chunk)
                    log.add(chunk)
                    done += len(chunk)
                    self._tell(done, total, chunk)
                    if stopped := self._over(start):
                        return stopped, done
            finally:
                _close(records)
        return "", done

    def _over(self, start: float) -> str:
        """Which limit is reached, in a sentence."""
        limits, usage = self.plan.suite.limits, self._usage
        tokens = usage.input + usage.output
        if limits.tokens is not None and tokens >= limits.tokens:
            return f"the limit of {limits.tokens:,} tokens is reached ({tokens:,} billed)"
        if limits.cost is not None and usage.cost >= limits.cost:
            return f"the limit of {limits.cost:g} in money is reached ({usage.cost:.4f} billed)"
        if limits.failures is not None and self._failed > limits.failures:
            return f"more than {limits.failures} cases failed ({self._failed})"
        if limits.seconds is not None and time.monotonic() - start >= limits.seconds:
            return f"the limit of {limits.seconds:g} seconds is reached"
        return ""

    def _recall(self, log: ResultLog) -> None:
        """What was billed and failed before the run was resumed."""
        for record in log.records():
            self._count([record])

    def _count(self, records: list[Record]) -> None:
        for record in records:
            self._failed += bool(record.get("error"))
            if "usage" in record:
                self._usage += billed(record)

    def _tell(self, done: int, total: int, records: list[Record]) -> None:
        if self.on_pace is not None:
            self.on_pace(Pace(done, total, self._failed, self._usage, tuple(records)))

    def _slots(self) -> Iterator[Slot]:
        for segment in self.plan.segments():
            for batch in segment.batches:
                yield from batch

    def _claim(self) -> None:
        """The folder is this plan's, from now on or since before. Raises BadInput where it is another's."""
        path = self.out / HEADER
        if path.exists():
            before = read_header(self.out)
            if before["fingerprint"] == self.plan.fingerprint:
                return
            if ResultLog(self.out).done():
                raise BadInput(
                    f"{self.out} holds a run of {before['suite']['suite']} with other cases or options; "
                    "name another folder with --out, or start over with --fresh"
                )
            # what learning subjects of the other suite had begun is not to be gone on with
            shutil.rmtree(self.out / "subjects", ignore_errors=True)
        header = {
            "suite": self.plan.suite.model_dump(mode="json", by_alias=True, exclude_defaults=True),
            "folder": str(self.plan.folder),
            "limit": self.plan.limit,
            "only": self.plan.only,
            "columns_like": self.plan.columns_like,
            "columns": [column.name for column in self.plan.columns],
            "fingerprint": self.plan.fingerprint,
            "machine": machine(),
        }
        write_atomic(path, json.dumps(header, indent=1, ensure_ascii=False) + "\n")


def read_header(folder: Path) -> Mapping[str, Any]:
    """What a run's folder says of it. Raises BadInput where it is no run's folder."""
    try:
        header: Mapping[str, Any] = json.loads((folder / HEADER).read_bytes())
    except (OSError, ValueError) as error:
        raise BadInput(f"{folder}: no run in this folder ({HEADER} cannot be read: {error})") from error
    return header


def _close(records: Any) -> None:
    """Generators that hold workers let go of them now, not when they are collected."""
    if hasattr(records, "close"):
        records.close()
