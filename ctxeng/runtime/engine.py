"""One loop thread that runs all generations: new tokens of every job go through the decoder together."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Self, TypeVar

import torch

from ctxeng.errors import BadInput, CacheFull
from ctxeng.kv.prefix import PrefixStore
from ctxeng.runtime.attention import CachedAttention, Span
from ctxeng.runtime.decoder import Decoder
from ctxeng.runtime.holdings import Holdings
from ctxeng.runtime.job import Generate, Handle, Report, Token
from ctxeng.runtime.kept import Kept
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.prompt import Prompt
from ctxeng.runtime.run import Run
from ctxeng.runtime.texts import Detokenizer
from ctxeng.runtime.tokenizer import Tokenizer
from ctxeng_kernels.library import backend

T = TypeVar("T")
_OPEN: weakref.WeakSet[Engine] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """A thread that computes while the interpreter goes away takes the process down with it."""
    for engine in list(_OPEN):
        engine.close()


class Engine(Holdings):
    """Generates with one decoder. `memory` caps the cache in bytes; `chunk` tokens are encoded at once.

    Thread-safe. Close it, or use it as a context manager: the loop thread ends, all blocks are given back.
    """

    def __init__(
        self,
        decoder: Decoder,
        tokenizer: Tokenizer | None = None,
        *,
        memory: int = 1 << 30,
        chunk: int = 512,
        batch: int = 64,
        store: PrefixStore | None = None,
    ) -> None:
        if chunk < 1 or batch < 1:
            raise BadInput(f"chunk and batch must be 1 or more, not {chunk} and {batch}")
        super().__init__(decoder, tokenizer, memory, store)
        self.chunk, self.batch = chunk, batch
        self._inbox: deque[Callable[[], None]] = deque()
        self._runs: list[Run] = []
        self._waiting: deque[Run] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self.passes = 0
        self._thread = threading.Thread(target=self._loop, name="ctxeng-engine", daemon=True)
        self._thread.start()
        _OPEN.add(self)

    # -- what others call -------------------------------------------------------------------------------

    def submit(
        self,
        prompt: Prompt | Sequence[int],
        options: Generate | None = None,
        plan: CachePlan | None = None,
        sink: Callable[[Token | Report | BaseException], None] | None = None,
    ) -> Handle:
        """Begin a generation from these tokens. Raises BadInput; CacheFull comes out of the handle.

        The handle's iterator gives tokens as they come; a `sink` is called with them instead, on the loop's
        thread, and must not wait.
        """
        return self.start(Prompt.of(prompt), options or Generate(), plan or CachePlan(), sink=sink)

    def start(
        self,
        prompt: Prompt,
        options: Generate,
        plan: CachePlan,
        kept: Kept | None = None,
        sink: Callable[[Token | Report | BaseException], None] | None = None,
    ) -> Handle:
        """The same, on a session's cache where one is given."""
        run = Run(self, prompt, options, plan, kept)
        run.handle.sink = sink
        self._post(lambda: self._waiting.append(run))
        return run.handle

    def call(self, work: Callable[[], T]) -> T:
        """Do something between two passes, on the loop's thread, and return what it returns."""
        if threading.current_thread() is self._thread:
            return work()
        future: Future[T] = Future()

        def task() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
                future.set_exception(error)

        self._post(task)
        return future.result()

    def describe(self) -> dict[str, Any]:
        """What runs here: the model's shape, bytes, the cache's use, the backend of attention."""
        config = self.decoder.config
        return {
            "family": config.family,
            "parameters": config.parameters,
            "weight_bytes": self.decoder.nbytes,
            "cache_cap": self.pools.budget.cap,
            "cache_used": self.pools.budget.used,
            "cache_peak": self.pools.budget.peak,
            "blocks_in_use": self.pools.in_use,
            "stored_blocks": len(self.store),
            "stored_pieces": len(self.pieces),
            "running": len(self._runs),
            "waiting": len(self._waiting),
            "passes": self.passes,
            "attention": backend(),
        }

    @property
    def alive(self) -> bool:
        """Whether the loop runs."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End all generations as cancelled, give everything back, end the thread. Idempotent."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the loop ---------------------------------------------------------------------------------------

    def _post(self, task: Callable[[], None]) -> None:
        with self._wake:
            if self._closed:
                raise BadInput("the engine is closed")
            self._inbox.append(task)
            self._wake.notify()

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _loop(self) -> None:
        while True:
            with self._wake:
                while not (self._inbox or self._runs or self._waiting or self._closed):
                    self._wake.wait()
                tasks, closed = list(self._inbox), self._closed
                self._inbox.clear()
            for task in tasks:
                task()
            if closed:
                self._end()
                return
            try:
                self._admit()
                self._turn()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next request is to be served
                self._fail_all(error)

    def _admit(self) -> None:
        """Start what waits, first come first served, while there is room."""
        for run in [r for r in self._waiting if r.over()]:
            self._waiting.remove(run)
            run.end("cancelled")
        while self._waiting and len(self._runs) < self.batch:
            run = self._waiting[0]
            try:
                run.begin()
            except CacheFull as error:
                if self._runs and error.needed <= error.cap:  # those give back what they hold when they end
                    return
                run.fail(error)
            except Exception as error:  # noqa: BLE001 - one run's trouble is no other's
                run.fail(error)
            else:
                self._runs.append(run)
            self._waiting.popleft()

    def _turn(self) -> None:
        """One pass: a token of each run that generates, and a chunk of the first that is still read."""
        for run in [r for r in self._runs if r.over()]:
            self._runs.remove(run)
            run.end("cancelled")
        chosen, reading = [], False
        for run in self._runs:
            if run.left > 1 and reading:
                continue
            reading = reading or run.left > 1
            chosen.append(run)
        if chosen:
            self._pass(chosen)
        self._runs = [run for run in self._runs if not run.ended]

    def _pass(self, runs: list[Run]) -> None:
        spans: list[Span] = []
        ids: list[int] = []
        for run in runs:
            try:
                sequence, tokens = run.next_rows(self.chunk)
            except Exception as error:  # noqa: BLE001 - one run's trouble is no other's
                run.fail(error)
                continue
            spans.append(Span(sequence, len(ids), len(tokens), run.rotation, run.watching))
            ids += tokens
        runs = [run for run in runs if not run.ended]
        if not runs:
            return
        try:
            attention = CachedAttention(self.decoder.config, spans)
            hidden = self.decoder.hidden(torch.tensor(ids), attention)
            ends = [(span.start + span.count, run.choices) for run, span in zip(runs, spans, strict=True)]
            rows = [row for end, choices in ends for row in range(end - choices, end)]
            logits = self.decoder.logits(hidden[rows]).split([run.choices for run in runs])
        except Exception as error:  # noqa: BLE001 - whose fault it is cannot be told
            for run in runs:
                run.fail(error)
            return
        self.passes += 1
        for run, span, own in zip(runs, spans, logits, strict=True):
            try:
                run.passed(span, own)
            except Exception as error:  # noqa: BLE001 - one run's trouble is no other's
                run.fail(error)

    def _fail_all(self, error: Exception) -> None:
        """What is under way ends with this error."""
        for run in [*self._runs, *self._waiting]:
            run.fail(error)
        self._runs, self._waiting = [], deque()

    def _end(self) -> None:
        for run in [*self._runs, *self._waiting]:
            run.end("cancelled")
        self._runs, self._waiting = [], deque()
        self.pieces.clear()
        self.store.clear()

    # -- for runs ---------------------------------------------------------------------------------------

    def detokenizer(self, stops: Sequence[str]) -> Detokenizer | None:
        """Text out of tokens, where there is a tokenizer. Raises BadInput where stop texts need one."""
        if self.tokenizer is None and stops:
            raise BadInput("stop texts need a tokenizer")
        return Detokenizer(self.tokenizer, tuple(stops)) if self.tokenizer is not None else None

    @staticmethod
    def now() -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()
