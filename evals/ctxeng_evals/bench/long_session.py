"""A long agent session under a hard cap: turns, forks, a restart from disk, and what stays resident."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ctxeng.errors import CacheFull
from ctxeng.kv.prefix import PrefixStore
from ctxeng.runtime.decoder import Decoder
from ctxeng.runtime.engine import Engine
from ctxeng.runtime.job import Generate, Report
from ctxeng.runtime.plan import CachePlan
from ctxeng.runtime.session import Session
from ctxeng_evals.bench.runtime_models import HALF, Weights
from ctxeng_evals.bench.table import Figures, Row

CAP = 32 << 20
TURNS, FIRST, TURN, ANSWER = 20, 1024, 120, 24
PLAN = CachePlan("int8")

Ids = list[int]


def run(seed: int = 0) -> Figures:
    """Twenty turns and four forks of a 0.5B shape under 32 MiB of cache, saved, and on after a restart."""
    before = _resident()
    decoder = Weights.random(HALF, seed).decoder()
    rng = np.random.default_rng(seed)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        failures, peak, tokens = _session(decoder, folder, rng)
        seconds = time.perf_counter() - start
        report = _restart(decoder, folder, rng)
    dense = decoder.config.kv_bytes(tokens)
    rows = [
        Row("seconds", seconds, "s"),
        Row("failures", failures, "", target="0"),
        Row("tokens at the end", tokens, "tokens"),
        Row("cache at its peak, of the cap", 100 * peak / CAP, "%", target="<= 100"),
        Row("cache at its peak", peak / 1e6, "MB", dense / 1e6, "one dense cache of that length, no fork"),
        Row("resident at its peak", _resident(), "MB"),
        Row("of that: Python, torch and this program", before, "MB"),
        Row("of that: weights, dense", decoder.nbytes / 1e6, "MB"),
        Row("restart from disk: tokens read again", report.prompt - report.cached - 10, "tokens"),
        Row("restart from disk: seconds to the first token", report.first, "s"),
    ]
    notes = (
        f"{TURNS} turns: {FIRST} tokens, then {TURN} each, {ANSWER} answered; a fork after every fifth",
        f"a cap of {CAP >> 20} MiB, blocks of int8; a process of its own; random weights of a 0.5B shape",
    )
    return Figures("long-session", tuple(rows), notes, seed)


def _session(decoder: Decoder, folder: Path, rng: np.random.Generator) -> tuple[int, int, int]:
    """Failures, the cache's peak in bytes, tokens at the end."""
    failures, vocabulary = 0, decoder.config.vocab
    with Engine(decoder, memory=CAP, store=PrefixStore(folder / "blocks")) as engine:
        with Session(engine, PLAN) as talk:
            for turn in range(TURNS):
                failures += _turn(talk, _text(rng, vocabulary, TURN if turn else FIRST))
                if turn % 5 == 4:  # noqa: PLR2004 - four times
                    failures += _fork(talk, _text(rng, vocabulary, TURN))
            talk.save(folder / "session.json")
            tokens = len(talk.tokens)
        return failures, engine.pools.budget.peak, tokens


def _restart(decoder: Decoder, folder: Path, rng: np.random.Generator) -> Report:
    with Engine(decoder, memory=CAP, store=PrefixStore(folder / "blocks")) as engine:
        talk = Session.open(engine, folder / "session.json", PLAN)
        _, report = talk.generate(_text(rng, decoder.config.vocab, 10), Generate(4)).result()
        talk.close()
        return report


def _text(rng: np.random.Generator, vocabulary: int, count: int) -> Ids:
    return list(map(int, rng.integers(0, vocabulary, count)))


def _turn(talk: Session, ids: Sequence[int]) -> int:
    try:
        talk.generate(ids, Generate(ANSWER)).result()
    except Exception:  # noqa: BLE001 - counted, and shown
        return 1
    return 0


def _fork(talk: Session, ids: Sequence[int]) -> int:
    try:
        with talk.fork() as fork:
            return _turn(fork, ids)
    except CacheFull:
        return 1


def _resident() -> float:
    """MB of this process at its peak so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
