"""Reuse, the product of the local runtime: the second request's first token, and what an edit costs."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ctxeng.kv.prefix import PrefixStore
from ctxeng.runtime.engine import Engine
from ctxeng.runtime.job import Generate
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.prompt import Part, Prompt
from ctxeng.runtime.session import Session
from ctxeng_evals.bench.runtime_models import HALF, Weights
from ctxeng_evals.bench.table import Figures, Row
from ctxeng_evals.instrument.shipped import Instrument, instrument
from ctxeng_evals.instrument.tasks import Exercise, Level, recall
from ctxeng_evals.stats import difference_of, mean_of

LAYERS = 4  # of the 24 of a 0.5B model: all times scale alike
HEAD, DOCUMENTS, DOCUMENT, QUERY = 2048, 8, 704, 64
EXERCISES = 60
MIXED = CachePlan(moved=True)

Ids = list[int]


@dataclass(frozen=True)
class Request:
    """A playbook with tools, documents, a question: all as tokens."""

    head: Ids
    documents: tuple[Ids, ...]
    query: Ids

    def prompt(self, *, parallel: bool) -> Prompt:
        """The same as typed pieces; read in order, or documents side by side."""
        documents = [Part("chunk", tuple(d), parallel=parallel) for d in self.documents]
        return Prompt((Part("playbook", tuple(self.head)), *documents, Part("query", tuple(self.query))))

    def turned(self) -> Request:
        """The documents in another order."""
        return Request(self.head, self.documents[::-1], self.query)

    def edited(self, rng: np.random.Generator, vocabulary: int) -> Request:
        """One line of the playbook, five tokens in its middle, put otherwise."""
        at, head = len(self.head) // 2, list(self.head)
        head[at : at + 5] = rng.integers(20, vocabulary, 5).tolist()
        return Request(head, self.documents, self.query)


def run(seed: int = 0) -> Figures:
    """Speed on random weights, right answers on the trained instrument, a long session under a cap."""
    torch.manual_seed(seed)
    rows = [*_speed(seed), *_answers(seed), *_agent(seed)]
    notes = (
        f"speed: {LAYERS} of 24 layers of a 0.5B shape, random weights; {torch.get_num_threads()} threads",
        f"playbook and tools {HEAD} tokens, {DOCUMENTS} documents of {DOCUMENT}, a question of {QUERY}",
        "prefix cache alone: what serving engines do; apart: documents read side by side, in any order",
        "answers: the trained instrument on made-up exercises; intervals by bootstrap over exercises",
    )
    return Figures("reuse", tuple(rows), notes, seed)


def _random(rng: np.random.Generator, vocabulary: int) -> Request:
    def text(count: int) -> Ids:
        return list(map(int, rng.integers(0, vocabulary, count)))

    return Request(text(HEAD), tuple(text(DOCUMENT) for _ in range(DOCUMENTS)), text(QUERY))


def first_token(engine: Engine, prompt: Prompt, plan: CachePlan) -> tuple[float, int]:
    """Seconds to the first token, and tokens that had to be read."""
    _, report = engine.submit(prompt, Generate(1), plan).result()
    return report.total, report.prompt - report.cached


def _speed(seed: int) -> list[Row]:
    decoder = Weights.random({**HALF, "num_hidden_layers": LAYERS}, seed).decoder()
    rng = np.random.default_rng(seed)
    vocabulary = decoder.config.vocab
    request = _random(rng, vocabulary)
    fresh = Request(
        request.head, (*request.documents[1:], *_random(rng, vocabulary).documents[:1]), request.query
    )
    edit, another = (request.edited(rng, vocabulary) for _ in range(2))  # else its head would be stored
    times: dict[str, tuple[float, int]] = {}
    with Engine(decoder, memory=4 << 30) as engine, torch.inference_mode():
        times["no cache"] = first_token(
            engine, request.turned().prompt(parallel=False), CachePlan(reuse=False)
        )
        first_token(engine, request.prompt(parallel=False), CachePlan())
        times["prefix: new order"] = first_token(engine, request.turned().prompt(parallel=False), CachePlan())
        times["prefix: edited line"] = first_token(engine, edit.prompt(parallel=False), CachePlan())
        first_token(engine, request.prompt(parallel=True), CachePlan())
        times["apart: new order"] = first_token(engine, request.turned().prompt(parallel=True), CachePlan())
        times["apart: one new document"] = first_token(engine, fresh.prompt(parallel=True), CachePlan())
        times["apart: edited line"] = first_token(engine, another.prompt(parallel=True), MIXED)
    rows = []
    for name, (seconds, read) in times.items():
        rows.append(Row(f"first token, {name}", seconds, "s"))
        rows.append(Row(f"tokens read, {name}", read, "tokens"))
    gain = times["prefix: new order"][0] / times["apart: new order"][0]
    mended = times["prefix: edited line"][0] / times["apart: edited line"][0]
    return [
        *rows,
        Row("seen documents in a new order: faster than a prefix cache alone", gain, "x", target=">= 5"),
        Row("one playbook line edited: faster than a prefix cache alone", mended, "x"),
    ]


def exercise_of(rng: np.random.Generator, tool: Instrument) -> Exercise:
    """One with several documents, of about half the trained length."""
    while True:
        made = recall(rng, tool.filler, Level(900, key=2, filler=0.8))
        if len(made.documents) >= 3 and len(made.questions) >= 4:  # noqa: PLR2004 - something to be reordered
            return made


def request_of(exercise: Exercise, question: int, rng: np.random.Generator, tool: Instrument) -> Request:
    """An exercise as a request; its playbook is a line of text."""
    head = [*exercise.head, *tool.filler.cut(rng, 80)]
    return Request(head, tuple(map(list, exercise.documents)), list(exercise.questions[question].ask))


def _answers(seed: int) -> list[Row]:
    tool = instrument()
    rng = np.random.default_rng(seed + 2000)
    right: dict[str, list[float]] = {}
    with Engine(tool.decoder, memory=1 << 28) as engine:
        for _ in range(EXERCISES):
            exercise = exercise_of(rng, tool)
            for number in range(4):
                request = request_of(exercise, number, rng, tool)
                answer = list(exercise.questions[number].answer)
                for name, prompt, plan in _ways(request, rng, engine.decoder.config.vocab):
                    ids, _ = engine.submit(prompt, Generate(len(answer)), plan).result()
                    right.setdefault(name, []).append(float(ids == answer))
    whole = right["read in order"]
    groups = [str(n // 4) for n in range(len(whole))]  # four questions an exercise
    rows = []
    for name, found in right.items():
        mean = mean_of(found, groups, seed)
        assert mean is not None
        said = f"right answers of {len(found)}, {name} [{100 * mean.low:.1f}, {100 * mean.high:.1f}]"
        rows.append(Row(said, 100 * mean.mean, "%"))
    pairs = zip(whole, right["side by side, new order"], strict=True)
    lost = difference_of(pairs, groups, seed)
    assert lost is not None
    span = f"[{100 * lost.estimate.low:.1f}, {100 * lost.estimate.high:.1f}]"
    said = f"points lost side by side, in a new order {span}"
    rows.append(Row(said, 100 * (lost.first - lost.second), "points", target="<= 1"))
    return rows


def _ways(request: Request, rng: np.random.Generator, vocabulary: int) -> list[tuple[str, Prompt, CachePlan]]:
    edit = request.edited(rng, vocabulary)
    return [
        ("read in order", request.turned().prompt(parallel=False), CachePlan()),
        ("side by side", request.prompt(parallel=True), CachePlan()),
        ("side by side, new order", request.turned().prompt(parallel=True), CachePlan()),
        ("edited line, read anew", edit.prompt(parallel=False), CachePlan(reuse=False)),
        ("edited line, documents as they were read", edit.prompt(parallel=True), MIXED),
    ]


def _agent(seed: int) -> list[Row]:
    """Twenty turns and four forks under a cap, on disk in between, and on after a restart."""
    decoder = Weights.random({**HALF, "num_hidden_layers": 2, "vocab_size": 8192}, seed).decoder()
    rng = np.random.default_rng(seed)
    cap, failures, start = 3 << 20, 0, time.perf_counter()
    plan = CachePlan("int8")

    def text(count: int) -> Ids:
        return list(map(int, rng.integers(0, 8192, count)))

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Engine(decoder, memory=cap, store=PrefixStore(folder / "blocks")) as engine:
            with Session(engine, plan) as talk:
                for turn in range(20):
                    failures += _turn(talk, text(120 if turn else 1024))
                    if turn % 5 == 4:  # noqa: PLR2004 - four times
                        with talk.fork() as fork:
                            failures += _turn(fork, text(60))
                talk.save(folder / "session.json")
                tokens = talk.tokens
            peak = engine.pools.budget.peak
        with Engine(decoder, memory=cap, store=PrefixStore(folder / "blocks")) as engine:
            talk = Session.open(engine, folder / "session.json", plan)
            _, report = talk.generate(text(10), Generate(4)).result()
            talk.close()
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [
        Row("20 turns, 4 forks: seconds", time.perf_counter() - start, "s"),
        Row("20 turns, 4 forks: failures", failures, "", target="0"),
        Row("20 turns, 4 forks: cache at its peak, of the cap", 100 * peak / cap, "%", target="<= 100"),
        Row("20 turns, 4 forks: resident at its peak, everything measured here", resident, "MB"),
        Row("restart from disk: tokens read again", report.prompt - report.cached - 10, f"of {len(tokens)}"),
    ]


def _turn(talk: Session, ids: Sequence[int]) -> int:
    try:
        talk.generate(ids, Generate(24)).result()
    except Exception:  # noqa: BLE001 - counted, and shown
        return 1
    return 0
