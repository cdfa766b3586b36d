"""Vectors by id: the seam that vector stores fill, and the exact one, in memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ctxeng.errors import BadInput

Floats = NDArray[np.float32]


class VectorStore(Protocol):
    """Vectors of one encoder by id; scores are dot products. Safe with several threads."""

    @property
    def encoder(self) -> str:
        """The name of what encoded them."""
        ...

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    def __len__(self) -> int: ...

    def ids(self) -> set[str]:
        """All ids."""
        ...

    def upsert(self, ids: Sequence[str], vectors: Floats) -> None:
        """Keep these rows (n, D), in place of what the ids had; the last of equal ids counts.

        When it returns, a killed process loses none of them. Raises BadInput for another shape than (n, D)
        and for numbers that are not finite.
        """
        ...

    def remove(self, ids: Sequence[str]) -> None:
        """Let these go; ids that are not there are no matter."""
        ...

    def query(self, vector: Floats, k: int) -> list[tuple[str, float]]:
        """The k nearest (id, score), best first."""
        ...

    def scores(self, vector: Floats, ids: Sequence[str]) -> Floats:
        """One exact score an id: (n,); 0 where the id is not known."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


@dataclass
class ExactVectors:
    """All vectors in one matrix in memory, every query compared with each: the thing for small sets.

    Nothing outlives the process. Ties come in the order of ids.
    """

    encoder: str
    dim: int
    _rows: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    _ids: list[str] = field(default_factory=list, init=False, repr=False)  # by row
    _matrix: Floats = field(init=False, repr=False)  # (capacity, D)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)

    def __post_init__(self) -> None:
        self._matrix = np.empty((0, self.dim), dtype=np.float32)

    def __len__(self) -> int:
        return len(self._ids)

    def ids(self) -> set[str]:
        """All ids."""
        with self._lock:
            return set(self._ids)

    def upsert(self, ids: Sequence[str], vectors: Floats) -> None:
        """Keep these rows (n, D). Raises BadInput for another shape, or numbers that are not finite."""
        rows = unique(ids, vectors, self.dim)
        with self._lock:
            new = [name for name in rows if name not in self._rows]
            self._grow(len(self._ids) + len(new))
            for name in new:
                self._rows[name] = len(self._ids)
                self._ids.append(name)
            if rows:
                self._matrix[[self._rows[name] for name in rows]] = np.stack(list(rows.values()))

    def remove(self, ids: Sequence[str]) -> None:
        """Let these go."""
        with self._lock:
            for name in ids:
                row = self._rows.pop(name, None)
                if row is None:
                    continue
                last = self._ids.pop()  # it moves into the gap
                if last != name:
                    self._ids[row], self._rows[last] = last, row
                    self._matrix[row] = self._matrix[len(self._ids)]

    def query(self, vector: Floats, k: int) -> list[tuple[str, float]]:
        """The k nearest (id, score), best first. Raises BadInput for a vector of another length."""
        one = vector_of(vector, self.dim)
        with self._lock:
            count = len(self._ids)
            k = min(k, count)
            if k <= 0:
                return []
            scores = self._matrix[:count] @ one
            least = np.partition(scores, count - k)[count - k]
            found = [(self._ids[row], float(scores[row])) for row in np.flatnonzero(scores >= least)]
        return sorted(found, key=lambda each: (-each[1], each[0]))[:k]

    def scores(self, vector: Floats, ids: Sequence[str]) -> Floats:
        """One score an id: (n,); 0 where the id is not known."""
        one = vector_of(vector, self.dim)
        found = np.zeros(len(ids), dtype=np.float32)
        with self._lock:
            places = np.fromiter((self._rows.get(name, -1) for name in ids), dtype=np.int64, count=len(ids))
            known = places >= 0
            found[known] = self._matrix[places[known]] @ one
        return found

    def close(self) -> None:
        """Nothing to let go of."""

    def _grow(self, needed: int) -> None:
        if needed > len(self._matrix):
            larger = np.empty((max(needed, 2 * len(self._matrix)), self.dim), dtype=np.float32)
            larger[: len(self._ids)] = self._matrix[: len(self._ids)]
            self._matrix = larger


def unique(ids: Sequence[str], vectors: Floats, dim: int) -> dict[str, Floats]:
    """Id to row, the last of equal ids. Raises BadInput where rows are not (n, D), or not finite."""
    rows = np.asarray(vectors, dtype=np.float32)
    if rows.shape != (len(ids), dim):
        raise BadInput(f"{len(ids)} ids need vectors of shape ({len(ids)}, {dim}), these are {rows.shape}")
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise BadInput(f"the vector of {ids[bad[0]]!r} has numbers that are not finite")
    return dict(zip(ids, rows, strict=True))


def vector_of(vector: Floats, dim: int) -> Floats:
    """The query's vector. Raises BadInput where it is not (D,), or not finite."""
    one = np.asarray(vector, dtype=np.float32)
    if one.shape != (dim,) or not np.isfinite(one).all():
        raise BadInput(f"a query needs one vector of {dim} finite numbers, this one has shape {one.shape}")
    return one
