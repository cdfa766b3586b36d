"""Reuse, the product of the local runtime: the second request's first token, and what an edit costs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from ctxeng.runtime.engine import Engine
from ctxeng.runtime.job import Generate
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.prompt import Part, Prompt
from ctxeng_evals.bench.runtime_models import HALF, Weights
from ctxeng_evals.bench.table import Figures, Row
from ctxeng_evals.instrument.shipped import Instrument, instrument
from ctxeng_evals.instrument.tasks import Exercise, Level, recall
from ctxeng_evals.stats import difference_of, mean_of

SYSTEM, ENTRIES, ENTRY, DOCUMENTS, DOCUMENT, QUERY = 512, 32, 48, 8, 704, 64
EXERCISES = 60
MIXED = CachePlan(moved=True)
APART = frozenset({"chunk"})
ALL_APART = frozenset({"playbook", "chunk"})

Ids = list[int]


@dataclass(frozen=True)
class Request:
    """A system text, a playbook, documents, a question: all as tokens."""

    system: Ids
    entries: tuple[Ids, ...]
    documents: tuple[Ids, ...]
    query: Ids

    def prompt(self, apart: frozenset[str] = frozenset()) -> Prompt:
        """The same as typed parts; those of kinds in `apart` side by side."""
        parts = [Part("system", tuple(self.system))]
        parts += [Part("playbook", tuple(e), parallel="playbook" in apart) for e in self.entries]
        parts += [Part("chunk", tuple(d), parallel="chunk" in apart) for d in self.documents]
        return Prompt((*parts, Part("query", tuple(self.query))))

    def turned(self) -> Request:
        """The documents in another order."""
        return replace(self, documents=self.documents[::-1])

    def edited(self, rng: np.random.Generator, vocabulary: int) -> Request:
        """One entry of the playbook, in its middle, put otherwise: five of its tokens."""
        at = len(self.entries) // 2
        entry = list(self.entries[at])
        middle = len(entry) // 2
        entry[middle : middle + 5] = rng.integers(20, vocabulary, 5).tolist()
        return replace(self, entries=(*self.entries[:at], entry, *self.entries[at + 1 :]))


def run(seed: int = 0) -> Figures:
    """Speed on random weights, right answers on the trained instrument."""
    torch.manual_seed(seed)
    rows = [*_speed(seed), *_answers(seed)]
    layers, threads = HALF["num_hidden_layers"], torch.get_num_threads()
    notes = (
        f"speed: a 0.5B shape, {layers} layers, random weights; {threads} threads",
        f"tokens: system {SYSTEM}, {ENTRIES} entries of {ENTRY}, {DOCUMENTS} documents of {DOCUMENT}",
        f"a question of {QUERY}; apart: documents side by side; entries apart: those of the playbook, too",
        "prefix cache alone: what serving engines do",
        "answers: the trained instrument on made-up exercises; intervals by bootstrap over exercises",
    )
    return Figures("reuse", tuple(rows), notes, seed)


def _random(rng: np.random.Generator, vocabulary: int) -> Request:
    def text(count: int) -> Ids:
        return list(map(int, rng.integers(20, vocabulary, count)))

    entries = tuple(text(ENTRY) for _ in range(ENTRIES))
    return Request(text(SYSTEM), entries, tuple(text(DOCUMENT) for _ in range(DOCUMENTS)), text(QUERY))


def first_token(engine: Engine, prompt: Prompt, plan: CachePlan) -> tuple[float, int]:
    """Seconds to the first token, and tokens that had to be read."""
    _, report = engine.submit(prompt, Generate(1), plan).result()
    return report.total, report.prompt - report.cached


def _speed(seed: int) -> list[Row]:
    weights = Weights.random(HALF, seed)
    decoder = weights.decoder()
    rng = np.random.default_rng(seed)
    vocabulary = decoder.config.vocab
    request = _random(rng, vocabulary)
    fresh = replace(request, documents=(*request.documents[1:], *_random(rng, vocabulary).documents[:1]))
    edits = [request.edited(rng, vocabulary) for _ in range(3)]  # each its own: else its head would be stored
    asks: list[tuple[str, Request, frozenset[str], CachePlan]] = [
        ("no cache", request, frozenset(), CachePlan(reuse=False)),
        ("", request, frozenset(), CachePlan()),
        ("prefix: new order", request.turned(), frozenset(), CachePlan()),
        ("prefix: edited entry", edits[0], frozenset(), CachePlan()),
        ("", request, APART, CachePlan()),
        ("apart: new order", request.turned(), APART, CachePlan()),
        ("apart: one new document", fresh, APART, CachePlan()),
        ("apart: edited entry, documents as they were read", edits[1], APART, MIXED),
        ("", request, ALL_APART, CachePlan()),
        ("entries apart: edited entry, documents as they were read", edits[2], ALL_APART, MIXED),
    ]
    times: dict[str, tuple[float, int]] = {}
    with Engine(decoder, memory=4 << 30) as engine, torch.inference_mode():
        for name, asked, apart, plan in asks:
            found = first_token(engine, asked.prompt(apart), plan)
            times |= {name: found} if name else {}
    times |= transformers_times(weights, request)
    rows = []
    for name, (seconds, read) in times.items():
        rows.append(Row(f"first token, {name}", seconds, "s"))
        rows.append(Row(f"tokens read, {name}", read, "tokens"))

    return [*rows, *_gains(times)]


def _gains(times: Mapping[str, tuple[float, int]]) -> list[Row]:
    new, line = "seen documents in a new order", "one playbook entry edited"
    pairs = [
        (f"{new}: faster than a prefix cache alone", "prefix: new order", "apart: new order", ">= 5"),
        (
            f"{new}: faster than transformers with its cache cropped",
            "transformers, cache cropped: new order",
            "apart: new order",
            "",
        ),
        (
            f"{line}: faster than a prefix cache alone",
            "prefix: edited entry",
            "entries apart: edited entry, documents as they were read",
            "",
        ),
    ]
    return [Row(said, times[slow][0] / times[fast][0], "x", target=t) for said, slow, fast, t in pairs]


def transformers_times(weights: Weights, request: Request) -> dict[str, tuple[float, int]]:
    """The same new order in transformers, its DynamicCache cropped to what both prompts begin with."""
    from transformers import DynamicCache  # noqa: PLC0415 - seconds

    model = weights.peer(dict(HALF))
    ids, turned = request.prompt().ids, request.turned().prompt().ids
    same = len(request.system) + ENTRIES * ENTRY
    cache = DynamicCache(config=model.config)
    with torch.inference_mode():
        model(torch.tensor([ids]), past_key_values=cache, use_cache=True, logits_to_keep=1)
        start = time.perf_counter()
        cache.crop(same - len(ids))
        model(torch.tensor([turned[same:]]), past_key_values=cache, use_cache=True, logits_to_keep=1)
    return {"transformers, cache cropped: new order": (time.perf_counter() - start, len(turned) - same)}


def exercise_of(rng: np.random.Generator, tool: Instrument) -> Exercise:
    """One with several documents, of about half the trained length."""
    while True:
        made = recall(rng, tool.filler, Level(900, key=2, filler=0.8))
        if len(made.documents) >= 3 and len(made.questions) >= 4:  # noqa: PLR2004 - something to be reordered
            return made


def request_of(exercise: Exercise, question: int, rng: np.random.Generator, tool: Instrument) -> Request:
    """An exercise as a request; the entries of its playbook are lines of text."""
    entries = tuple(list(tool.filler.cut(rng, 20)) for _ in range(4))
    documents = tuple(map(list, exercise.documents))
    return Request(list(exercise.head), entries, documents, list(exercise.questions[question].ask))


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
        ("read in order", request.turned().prompt(), CachePlan()),
        ("side by side", request.prompt(APART), CachePlan()),
        ("side by side, new order", request.turned().prompt(APART), CachePlan()),
        ("edited entry, read anew", edit.prompt(), CachePlan(reuse=False)),
        ("edited entry, documents as they were read", edit.prompt(APART), MIXED),
        ("entries side by side, too", request.prompt(ALL_APART), CachePlan()),
        ("entries side by side, one edited, documents as they were read", edit.prompt(ALL_APART), MIXED),
    ]
