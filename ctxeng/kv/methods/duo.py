"""DuoAttention (Xiao et al. 2024): retrieval heads keep all rows, streaming heads sinks and recent ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ctxeng.errors import BadInput
from ctxeng.kv.evict import Evict
from ctxeng.kv.methods.streaming import Recency
from ctxeng.storage.atomic import write_atomic


@dataclass(frozen=True)
class Gates:
    """How much each KV head retrieves, by layer; measured on one model, and refused by another."""

    model: str
    values: tuple[tuple[float, ...], ...]

    @classmethod
    def read(cls, path: str | Path, model: str) -> Gates:
        """The gates in a file. Raises BadInput for another model's, and for a file that has none."""
        try:
            raw = json.loads(Path(path).read_text(encoding="utf-8"))
            found = cls(raw["model"], tuple(tuple(map(float, row)) for row in raw["gates"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{path}: no gates of heads ({error})") from None
        if found.model != model:
            raise BadInput(f"{path}: gates of another model; delete it, and this one's are measured")
        return found

    def write(self, path: str | Path) -> None:
        """Keep them in a file."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(Path(path), json.dumps({"model": self.model, "gates": self.values}))

    def full(self, share: float) -> tuple[tuple[bool, ...], ...]:
        """The heads that keep everything: the highest `share` of all (ties: the earlier)."""
        flat = [(-value, n) for n, value in enumerate(v for row in self.values for v in row)]
        chosen = {n for _, n in sorted(flat)[: round(share * len(flat))]}
        width = len(self.values[0])
        return tuple(
            tuple(layer * width + head in chosen for head in range(width))
            for layer in range(len(self.values))
        )


@dataclass(frozen=True)
class ByHead:
    """All rows for some heads, a fixed number for the others."""

    full: tuple[tuple[bool, ...], ...]

    def split(self, budget: int, scores: Sequence[Tensor]) -> list[list[int]]:
        """Rows by layer and head. Raises BadInput for gates of another shape."""
        if [len(row) for row in self.full] != [len(s) for s in scores]:
            raise BadInput(f"gates for {len(self.full)} layers do not fit a model of {len(scores)}")
        return [
            [s.shape[1] if full else min(budget, s.shape[1]) for full in row]
            for row, s in zip(self.full, scores, strict=True)
        ]


def duo(gates: Gates, share: float = 0.5, sinks: int = 64, recent: int = 256, every: int = 64) -> Evict:
    """The share of heads with the highest gates keeps all, the others `sinks` + `recent` rows, for ever."""
    return Evict(
        Recency(), sinks + recent, ByHead(gates.full(share)), sinks=sinks, recent=recent - 1, every=every
    )
