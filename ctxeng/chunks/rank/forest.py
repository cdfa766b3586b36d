"""Boosted regression trees, read from arrays and evaluated with NumPy alone."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from ctxeng.message import Value

Floats = NDArray[np.float64]


class Forest(Value):
    """Binary trees over F features whose leaves add up to log-odds. Nodes of all trees stand in one list.

    A node's row goes left where its feature is at most the threshold; where the feature is not a number, it
    goes where `missing_left` says. A leaf has feature -1.
    """

    start: float
    roots: tuple[int, ...]
    feature: tuple[int, ...]
    threshold: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    missing_left: tuple[int, ...]  # 0 or 1
    value: tuple[float, ...]  # of leaves; 0 for inner nodes

    @model_validator(mode="after")
    def _whole(self) -> Forest:
        count = len(self.feature)
        lists = (self.threshold, self.left, self.right, self.missing_left, self.value)
        if any(len(each) != count for each in lists):
            raise ValueError("the lists of nodes differ in length")
        inner = [place for place in range(count) if self.feature[place] >= 0]
        if any(
            not place < child < count for place in inner for child in (self.left[place], self.right[place])
        ):
            raise ValueError("a node leads back, or to no node")  # forward only, so that every walk ends
        if any(not 0 <= root < count for root in self.roots):
            raise ValueError("a root is no node")
        return self

    def probability(self, rows: Floats) -> Floats:
        """(N,) from (N, F), between 0 and 1."""
        odds: Floats = 1.0 / (1.0 + np.exp(-self.score(rows)))
        return odds

    def score(self, rows: Floats) -> Floats:
        """(N,) log-odds from (N, F)."""
        feature, threshold, left, right, missing, value = self._arrays
        at = np.broadcast_to(np.asarray(self.roots, dtype=np.int64), (len(rows), len(self.roots))).copy()
        row = np.arange(len(rows))[:, None]
        while True:
            asked = feature[at]
            inner = asked >= 0
            if not inner.any():
                break
            known = rows[row, np.maximum(asked, 0)]
            goes_left = np.where(np.isnan(known), missing[at], known <= threshold[at])
            at = np.where(inner, np.where(goes_left, left[at], right[at]), at)
        total: Floats = self.start + value[at].sum(axis=1)
        return total

    @cached_property
    def _arrays(
        self,
    ) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_], Floats]:
        return (
            np.array(self.feature, dtype=np.int64),
            np.array(self.threshold),
            np.array(self.left, dtype=np.int64),
            np.array(self.right, dtype=np.int64),
            np.array(self.missing_left, dtype=np.bool_),
            np.array(self.value),
        )
