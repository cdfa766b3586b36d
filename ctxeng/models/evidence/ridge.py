"""Kernel ridge votes of the cases: which choice each speaks for, and what they would have said unseen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctxeng.models.evidence.types import Array, Vectors
from ctxeng.models.evidence.views import Questions

RIDGE = 0.3  # added to a kernel whose diagonal is one
SHARPNESS = 2.0  # of exp(SHARPNESS (cosine - 1)): near cases count for more than their cosine says


@dataclass(frozen=True)
class Kernels:
    """Three likenesses of (n) questions to (m) cases, each (n, m): words near the span, meaning, and both."""

    near: Array
    whole: Array
    both: Array

    @classmethod
    def between(cls, asked: Questions, known: Questions) -> "Kernels":
        """A cosine of the words near the span, a Gaussian kernel of the embeddings, and their mean."""
        near = _cosine(asked.near, known.near)
        whole = np.exp(SHARPNESS * (_cosine(asked.whole, known.whole) - 1))
        return cls(near, whole, (whole + near) / 2)

    def named(self) -> dict[str, Array]:
        """The three by name."""
        return {"near": self.near, "whole": self.whole, "both": self.both}


def coefficients(kernel: Array, targets: Array) -> Array:
    """(n, c) dual coefficients of kernel ridge regression: (K + RIDGE I)^-1 targets."""
    return np.asarray(np.linalg.solve(kernel + RIDGE * np.eye(len(kernel)), targets), dtype=np.float64)


def held_out(kernel: Array, targets: Array, groups: Sequence[NDArray[np.intp]]) -> Array:
    """(n, c) predictions for each case by a ridge fitted without the case's whole group.

    In closed form, from the one inverse: y_g - (inv_gg)^-1 (inv y)_g, the leave-one-out residual of ridge
    regression (Allen 1974, PRESS) for blocks.
    """
    inverse = np.linalg.inv(kernel + RIDGE * np.eye(len(kernel)))
    dual = inverse @ targets
    predicted = np.empty_like(targets)
    for group in groups:
        block = inverse[np.ix_(group, group)]
        predicted[group] = targets[group] - np.linalg.solve(block, dual[group])
    return predicted


def _cosine(left: Vectors, right: Vectors) -> Array:
    return (left @ right.T).astype(np.float64)
