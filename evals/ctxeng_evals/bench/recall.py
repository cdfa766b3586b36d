"""Cache methods judged by the trained instrument: right answers by turn, and bytes held and read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ctxeng.kv.methods.duo import Gates
from ctxeng.kv.methods.names import make
from ctxeng.kv.policy import Policy, Watch
from ctxeng.kv.reading import Metered
from ctxeng.kv.sequence import Shape
from ctxeng.runtime.engine import Engine
from ctxeng.runtime.heads import measured as measured_gates
from ctxeng.runtime.job import Generate
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.session import Session
from ctxeng_evals.bench.table import Figures, Row
from ctxeng_evals.instrument.shipped import Instrument, instrument
from ctxeng_evals.instrument.tasks import Exercise, Level, recall
from ctxeng_kernels.pack import Codec

TURNS = 5
COUNT = 24
LENGTH = 1024
SHARES = (0.5, 0.25, 0.125)
_STREAM = {"sinks": 4, "recent": 60}  # rows of DuoAttention's other heads
EVICTING = ("streaming", "h2o", "snapkv", "adakv", "pyramidkv", "windowkv")


@dataclass(frozen=True)
class Meter:
    """A policy, or none, whose reads are counted."""

    inner: Policy | None
    made: list[Metered]

    @property
    def rows(self) -> int | None:
        """As the policy has it."""
        return 0 if self.inner is None else self.inner.rows

    @property
    def destroys(self) -> bool:
        """As the policy has it."""
        return self.inner is not None and self.inner.destroys

    def watch(self, shape: Shape) -> Watch:
        """Begin on a new sequence."""
        watcher = Metered(shape.kv_heads, None if self.inner is None else self.inner.watch(shape))
        self.made.append(watcher)
        return watcher


@dataclass(frozen=True)
class Outcome:
    """Right answers by turn [exercises, turns], and mean bytes held and read in a step."""

    right: np.ndarray[tuple[int, int], np.dtype[np.bool_]]
    held: float
    read: float


def run(seed: int = 0) -> Figures:
    """Every method at three budgets, in both of SCBench's modes; codecs and page selection beside them."""
    tool = instrument()
    rng = np.random.default_rng(seed + 1000)
    exercises = [exercise_of(rng, tool) for _ in range(COUNT)]
    rows: list[Row] = []
    with Engine(tool.decoder, memory=1 << 28) as engine:
        gates = measured_gates(engine)
        for mode, play in (("one session", session), ("shared context", shared)):
            dense = measured(engine, exercises, play, "dense", None)
            rows += rows_of(f"{mode}: dense", dense, dense)
            for codec in ("int8", "int4"):
                rows += rows_of(f"{mode}: {codec}", measured(engine, exercises, play, codec, None), dense)
            for name, policy in policies(gates):
                rows += rows_of(f"{mode}: {name}", measured(engine, exercises, play, "dense", policy), dense)
    notes = (
        f"{COUNT} exercises of {LENGTH} tokens, {TURNS} questions each; right answers by turn, in percent",
        "one session: thinned when the first question was read; shared context: thinned before any was",
        "held and read: bytes after the first turn, against the dense cache of the same run",
        "made-up exercises, and a small model trained on their kind: cache methods are compared, not models",
    )
    return Figures("recall", tuple(rows), notes, seed)


def policies(gates: Gates) -> list[tuple[str, Policy]]:
    """All methods, by name and budget; `gates` are DuoAttention's for this model."""
    found: list[tuple[str, Policy]] = []
    for share in SHARES:
        found += [(f"{name} {share:g}", make(name, _options(name, share))) for name in EVICTING]
        found.append((f"quest {share:g}", make("quest", {"pages": int(share * LENGTH / 64), "dense": 0})))
        found.append((f"squeezed {share:g}", make("squeezed", {"quantile": 1 - share})))
        found.append((f"duo {share:g}", make("duo", {"gates": gates, "share": share, **_STREAM})))
    found += [(f"think {keep:g}", make("think", {"keep": keep})) for keep in (0.5, 0.75)]
    return found


def _options(name: str, share: float) -> dict[str, float]:
    extra = {"h2o": {"recent": 32}, "streaming": {"every": 0}}.get(name, {})
    return {"budget": share, **extra}


def exercise_of(rng: np.random.Generator, tool: Instrument) -> Exercise:
    """One with a question for every turn."""
    while True:
        made = recall(rng, tool.filler, Level(LENGTH - 8, key=2, filler=0.85))
        if len(made.questions) >= TURNS:
            return made


Play = Callable[[Session, Exercise], list[bool]]


def session(talk: Session, exercise: Exercise) -> list[bool]:
    """All questions in one conversation."""
    context = [*exercise.head, *(token for document in exercise.documents for token in document)]
    found = []
    for number, question in enumerate(exercise.questions[:TURNS]):
        asked = [*(context if number == 0 else ()), *question.ask]
        ids, _ = talk.generate(asked, Generate(len(question.answer))).result()
        found.append(tuple(ids) == question.answer)
    return found


def shared(talk: Session, exercise: Exercise) -> list[bool]:
    """The context once, each question as a request of its own."""
    talk.extend([*exercise.head, *(token for document in exercise.documents for token in document)])
    found = []
    for question in exercise.questions[:TURNS]:
        with talk.fork() as fork:
            ids, _ = fork.generate(question.ask, Generate(len(question.answer))).result()
            found.append(tuple(ids) == question.answer)
    return found


def measured(
    engine: Engine, exercises: Sequence[Exercise], play: Play, codec: Codec, policy: Policy | None
) -> Outcome:
    """Play all exercises under one plan."""
    right, held, read = [], [], []
    for exercise in exercises:
        meters: list[Metered] = []
        with Session(engine, CachePlan(codec, Meter(policy, meters), reuse=False)) as talk:
            right.append(play(talk, exercise))
            held.append(talk.nbytes)
            for meter in meters:
                meter.read, meter.passes = 0.0, {}
            with talk.fork() as fork:
                fork.generate((1,), Generate(8)).result()
                read.append(fork.meter.per_step if isinstance(fork.meter, Metered) else 0.0)
    return Outcome(np.array(right), float(np.mean(held)), float(np.mean(read)))


def rows_of(label: str, found: Outcome, dense: Outcome) -> list[Row]:
    """First turn, the mean of the later ones, and the two shares of bytes."""
    return [
        Row(f"{label}: turn 1", 100 * float(found.right[:, 0].mean()), "% right"),
        Row(f"{label}: turns 2 to {TURNS}", 100 * float(found.right[:, 1:].mean()), "% right"),
        Row(f"{label}: held", 100 * found.held / dense.held, "% of bytes"),
        Row(f"{label}: read a step", 100 * found.read / dense.read, "% of bytes"),
    ]
