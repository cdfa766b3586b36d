"""DuoAttention's heads of a loaded model: measured by one short reading, and kept in a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ctxeng.errors import BadInput
from ctxeng.kv.methods.duo import Gates
from ctxeng.kv.methods.duo_profile import LookingBack, probe
from ctxeng.kv.sequence import Shape
from ctxeng.runtime.engine import Engine
from ctxeng.runtime.job import Generate
from ctxeng.runtime.plan import CachePlan

_LEAST = 64  # positions a probe needs


@dataclass(frozen=True)
class _Looking:
    """A policy that only looks on."""

    period: int
    start: int
    made: list[LookingBack] = field(default_factory=list)

    @property
    def rows(self) -> None:
        """It has to see every query."""
        return

    @property
    def destroys(self) -> bool:
        """It changes nothing."""
        return False

    def watch(self, shape: Shape) -> LookingBack:
        """Begin on a new sequence."""
        self.made.append(LookingBack(shape, self.period, self.start))
        return self.made[-1]


def measured(engine: Engine, seed: int = 0) -> Gates:
    """How much each KV head looks back, on random tokens of which a run comes twice. Seconds, once a model.

    Raises BadInput for a model of fewer than 64 positions.
    """
    config = engine.decoder.config
    if config.max_positions < _LEAST:
        raise BadInput(f"a model of {config.max_positions} positions is too short to measure its heads")
    run = min(64, config.max_positions // 8)
    gap = min(384, config.max_positions - 2 * run)
    ids, period, start = probe(config.vocab, run, gap, seed)
    looking = _Looking(period, start)
    engine.submit(ids, Generate(0), CachePlan(policy=looking, reuse=False)).result()
    return looking.made[0].gates(engine.identity)


def gates_of(engine: Engine, path: Path | None) -> Gates:
    """The gates in that file, or measured now, and kept there where a file is named.

    Raises BadInput for a file of another model, or that is none.
    """
    if path is not None and path.exists():
        return Gates.read(path, engine.identity)
    found = measured(engine)
    if path is not None:
        found.write(path)
    return found
