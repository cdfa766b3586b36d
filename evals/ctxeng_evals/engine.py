"""Where the work happens: this thread, several threads, processes, or a Ray cluster; results in order."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ctxeng.errors import MissingExtra
from ctxeng.extras import environment
from ctxeng_evals.plan import Slot
from ctxeng_evals.work import Record, Workbench

Batch = Sequence[Slot]
_BENCHES: list[Workbench] = []  # of a worker process: built once, by its initializer
_AHEAD = 4  # chunks in flight for each worker; what waits to be written is bounded by it
_LARGEST = 256  # slots in a chunk
_BRISK = 0.02  # seconds; chunks that take less grow, so that handing them over costs little


@dataclass(frozen=True)
class Engine:
    """Maps batches of slots to records with `workers`, in the order of the batches."""

    kind: str
    workers: int

    def run(self, bench: Workbench, batches: Iterable[Batch]) -> Iterator[list[Record]]:
        """The records of each chunk of batches, in order, a few chunks ahead of whoever takes them."""
        if self.kind == "ray":
            yield from _on_ray(bench, batches, self.workers)
        elif self.workers == 1:
            yield from (bench.work(batch) for batch in batches)
        elif self.kind == "processes":
            # fork would copy threads' locks in whatever state they are
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(self.workers, context, _begin, (bench,)) as pool:
                yield from _ordered(pool, _work, batches, self.workers)
        else:
            with ThreadPoolExecutor(self.workers) as pool:
                yield from _ordered(pool, _timed(bench.work), batches, self.workers)


def default_workers(kind: str) -> int:
    """As many as there are cores, and not more than four threads."""
    cores = os.cpu_count() or 1
    return min(4, cores) if kind == "threads" else cores


def _ordered(
    pool: Executor,
    work: Callable[[list[Slot]], tuple[list[Record], float]],
    batches: Iterable[Batch],
    workers: int,
) -> Iterator[list[Record]]:
    waiting: deque[Future[tuple[list[Record], float]]] = deque()
    chunks = _Chunks(batches)
    try:
        while True:
            while len(waiting) < _AHEAD * workers and (chunk := chunks.next()):
                waiting.append(pool.submit(work, chunk))
            if not waiting:
                return
            records, seconds = waiting.popleft().result()
            chunks.took(seconds)
            yield records
    finally:
        for future in waiting:  # whoever takes the records has enough, or an error came
            future.cancel()


class _Chunks:
    """Batches put together to chunks, larger while they are done quickly."""

    def __init__(self, batches: Iterable[Batch]) -> None:
        self._batches = iter(batches)
        self._size = 1

    def next(self) -> list[Slot]:
        """The next slots; none at the end."""
        chunk: list[Slot] = []
        while len(chunk) < self._size:
            batch = next(self._batches, None)
            if batch is None:
                break
            chunk += batch
        return chunk

    def took(self, seconds: float) -> None:
        """Learn from how long a chunk took."""
        if seconds < _BRISK:
            self._size = min(_LARGEST, 2 * self._size)
        elif seconds > 10 * _BRISK:
            self._size = max(1, self._size // 2)


def _begin(bench: Workbench) -> None:
    _BENCHES[:] = [bench]


def _work(slots: list[Slot]) -> tuple[list[Record], float]:
    return _timed(_BENCHES[0].work)(slots)


def _timed(work: Callable[[list[Slot]], list[Record]]) -> Callable[[list[Slot]], tuple[list[Record], float]]:
    def timed(slots: list[Slot]) -> tuple[list[Record], float]:
        start = time.perf_counter()
        return work(slots), time.perf_counter() - start

    return timed


def _on_ray(bench: Workbench, batches: Iterable[Batch], workers: int) -> Iterator[list[Record]]:
    """The same with one actor a worker; the cluster is the one that is there, else one of this machine."""
    try:
        import ray  # noqa: PLC0415 - an optional dependency, seconds
        from ray.util import ActorPool  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra("ray", "ray") from error
    with _cluster(ray, workers):
        actor = ray.remote(_Actor)
        pool = ActorPool([actor.remote(bench) for _ in range(workers)])
        chunks = _Chunks(batches)
        in_flight = 0
        while True:
            while in_flight < _AHEAD * workers and (chunk := chunks.next()):
                pool.submit(lambda each, slots: each.work.remote(slots), chunk)
                in_flight += 1
            if not in_flight:
                return
            records, seconds = pool.get_next()
            in_flight -= 1
            chunks.took(seconds)
            yield records


class _Actor:
    """A workbench on the other side."""

    def __init__(self, bench: Workbench) -> None:
        self._work = _timed(bench.work)

    def work(self, slots: list[Slot]) -> tuple[list[Record], float]:
        """The records and how long they took."""
        return self._work(slots)


@contextmanager
def _cluster(ray: Any, workers: int) -> Iterator[None]:
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {"address": address} if address else {"num_cpus": workers}
    # no usage statistics: nothing of this library's is reported to anybody
    with environment(RAY_USAGE_STATS_ENABLED="0"):
        ray.init(log_to_driver=False, include_dashboard=None if address else False, **options)
    try:
        yield
    finally:
        ray.shutdown()
