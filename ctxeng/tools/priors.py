"""What use teaches: which tools similar requests took, and which tools are used together."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ctxeng.retrieval.embed import TextEncoder
from ctxeng.retrieval.inverted import InvertedIndex

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Used:
    """One request and the tools that served it. `session` holds together what belongs together."""

    id: str
    request: str
    tools: tuple[str, ...]
    session: str = ""


@dataclass
class Priors:
    """What was used before, for one tenant: a memory of requests, and of tools that went together.

    Learning is idempotent by id and takes no model but the encoder; without one, requests are compared by
    BM25. The `most` newest requests are kept. Safe with several threads.
    """

    encoder: TextEncoder | None = None
    nearest: int = 20  # remembered requests that are asked
    sharpness: float = 10.0  # how much more a nearer one says: exp(sharpness * cosine)
    doubt: float = 2.0  # sessions that are added to a tool's count before shares are taken of it
    most: int = 20_000
    _used: dict[str, Used] = field(default_factory=dict, init=False, repr=False)
    _sums: dict[str, Floats] = field(default_factory=dict, init=False, repr=False)  # of requests, by tool
    # the tools of each session, the `most` newest of them
    _sessions: OrderedDict[str, set[str]] = field(default_factory=OrderedDict, init=False, repr=False)
    _beside: defaultdict[str, Counter[str]] = field(
        default_factory=lambda: defaultdict(Counter), init=False, repr=False
    )
    _words: InvertedIndex = field(default_factory=InvertedIndex, init=False, repr=False)
    _vectors: dict[str, Floats] = field(default_factory=dict, init=False, repr=False)
    _matrix: Floats | None = field(default=None, init=False, repr=False)  # (M, D), until something changes
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)

    def __len__(self) -> int:
        return len(self._used)

    def learn(self, used: Sequence[Used]) -> None:
        """Take note of what served these requests; what is known by its id already is passed over."""
        with self._lock:
            new: dict[str, Used] = {}
            for one in used:
                if one.tools and one.id not in self._used:
                    new.setdefault(one.id, one)
            self._words.add({one.id: one.request for one in new.values()})
            if self.encoder is not None and new:
                rows = self.encoder.embed([one.request for one in new.values()])
                self._vectors.update(zip(new, rows, strict=True))
            for one in new.values():
                self._count(one)
            self._used.update(new)
            for name in list(self._used)[: max(0, len(self._used) - self.most)]:
                self._drop(name)
            self._matrix = None

    def forget(self, ids: Collection[str]) -> None:
        """Let go of these requests, and of what they taught of similar ones; pairs are only counts."""
        with self._lock:
            for name in ids:
                if name in self._used:
                    self._drop(name)
            self._matrix = None

    def alike(self, request: str, asked: Floats | None, tools: Sequence[str], matrix: Floats) -> Floats:
        """(N,): what similar requests used, and whose requests this one is near; 0 to 3.

        `asked` (D,) is the request's vector and `matrix` (N, D) the tools' own. Two thirds are shares of the
        nearest requests' votes. A third is the cosine with the tool's vector as its requests have moved it,
        relative to the best.
        """
        places = {name: place for place, name in enumerate(tools)}
        found = np.zeros(len(tools), dtype=np.float32)
        with self._lock:
            near = self._near(request, asked)
            for name, weight in near:
                for tool in set(self._used[name].tools):
                    if tool in places:
                        found[places[tool]] += 2 * weight
            if asked is not None and near and matrix.shape[1]:
                found += self._moved(asked, places, matrix)
        return found

    def together(self, called: Collection[str], tools: Sequence[str]) -> Floats:
        """(N,): the highest share of sessions with one of the `called` in which each was used too; 0 to 1."""
        found = np.zeros(len(tools), dtype=np.float32)
        with self._lock:
            places = {name: place for place, name in enumerate(tools)}
            for tool in called:
                beside = self._beside.get(tool, Counter())
                for other, count in beside.items():
                    if other in places:
                        share = count / (beside[tool] + self.doubt)
                        found[places[other]] = max(found[places[other]], share)
        return found

    def used(self) -> list[Used]:
        """All that is remembered, oldest first."""
        return list(self._used.values())

    def _near(self, request: str, asked: Floats | None) -> list[tuple[str, float]]:
        """The nearest requests and the share that each has in what they say together."""
        names = list(self._used)
        if asked is not None and self._vectors:
            if self._matrix is None:
                self._matrix = np.stack([self._vectors[name] for name in names])
            cosines = self._matrix @ asked
            best = np.argsort(-cosines, kind="stable")[: self.nearest]
            pairs = [(names[place], float(cosines[place])) for place in best]
        else:
            scored = self._words.search(request, self.nearest)
            pairs = [(name, score / scored[0][1]) for name, score in scored]
        weights = np.exp(self.sharpness * np.array([score for _, score in pairs]))
        total = float(weights.sum()) or 1.0
        return [(name, float(weight) / total) for (name, _), weight in zip(pairs, weights, strict=True)]

    def _moved(self, asked: Floats, places: dict[str, int], matrix: Floats) -> Floats:
        cosines = matrix @ asked
        for tool, total in self._sums.items():
            if tool in places:
                moved = matrix[places[tool]] + total
                cosines[places[tool]] = moved @ asked / max(float(np.linalg.norm(moved)), 1e-9)
        cosines = np.maximum(cosines, 0)
        relative: Floats = cosines / max(float(cosines.max()), 1e-9)
        return relative

    def _count(self, one: Used) -> None:
        for tool in set(one.tools):
            if one.id in self._vectors:
                self._sums[tool] = self._sums.get(tool, np.float32(0)) + self._vectors[one.id]
        before = self._sessions.setdefault(one.session, set()) if one.session else set()
        for tool in dict.fromkeys(one.tools):
            if tool not in before:
                self._beside[tool][tool] += 1  # sessions that used it
                for other in before:
                    self._beside[tool][other] += 1
                    self._beside[other][tool] += 1
                before.add(tool)
        while len(self._sessions) > self.most:
            self._sessions.popitem(last=False)

    def _drop(self, name: str) -> None:
        one = self._used.pop(name)
        self._words.remove([name])
        vector = self._vectors.pop(name, None)
        if vector is not None:
            for tool in set(one.tools):
                self._sums[tool] = self._sums[tool] - vector
