"""Weigh signals into one choice: McFadden's conditional logit, and a kernel logit for what it leaves."""

import numpy as np
from numpy.typing import NDArray

from ctxeng.models.evidence.types import Array

PULL = 1.0  # strength of the Gaussian prior that holds the weights at their starting values
NEWTON_STEPS = 12
SMALLEST_STEP = 1e-3
CONVERGED = 1e-3  # nats over all cases
CORRECTION_RIDGE = 1.0
CORRECTION_STEPS = 60
POWER_STEPS = 10


def log_softmax(scores: Array) -> Array:
    """Log-probabilities along the last axis."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    normalised: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return normalised


def fit_weights(signals: Array, right: NDArray[np.intp], start: Array) -> Array:
    """(s,) weights of `signals` (n, c, s) under which the `right` (n,) choices are likeliest.

    Conditional logit (McFadden 1974), by damped Newton steps, with a Gaussian prior around `start` (s,).
    """
    rows = np.arange(len(right))
    weights = start.copy()
    loss = _loss(signals, right, weights, start)
    for _ in range(NEWTON_STEPS):
        chances = np.exp(log_softmax(signals @ weights))
        mean = np.einsum("nc,ncs->ns", chances, signals)
        slope = (mean - signals[rows, right]).sum(axis=0) + PULL * (weights - start)
        flat = signals.reshape(-1, signals.shape[-1])
        curve = flat.T @ (flat * chances.reshape(-1, 1)) - mean.T @ mean + PULL * np.eye(len(weights))
        step = np.linalg.solve(curve, slope)
        size = 1.0
        while (better := _loss(signals, right, weights - size * step, start)) >= loss:
            size /= 2
            if size < SMALLEST_STEP:
                return weights
        weights = weights - size * step
        if loss - better < CONVERGED:
            return weights
        loss = better
    return weights


def fit_correction(kernel: Array, alike: Array, scores: Array, right: NDArray[np.intp]) -> Array:
    """(n, c) duals B that correct `scores` (n, c) by kernel (n, n) @ B @ alike (c, c).

    Kernel logistic regression on the product of a kernel of questions and one of choices, so that what is
    learned for a choice reaches the choices like it (Bonilla et al. 2008, multi-task kernels). Steps are
    Nesterov's, a fixed number of them, so equal input gives equal output.
    """
    truth = np.zeros_like(scores)
    truth[np.arange(len(right)), right] = 1.0
    pace = 1 / (CORRECTION_RIDGE + _largest(kernel) * _largest(alike) / 2)
    duals, ahead = np.zeros_like(scores), np.zeros_like(scores)
    for step in range(CORRECTION_STEPS):
        chances = np.exp(log_softmax(scores + kernel @ ahead @ alike))
        moved = ahead - pace * (CORRECTION_RIDGE * ahead + chances - truth)
        ahead = moved + step / (step + 3) * (moved - duals)
        duals = moved
    return duals


def _loss(signals: Array, right: NDArray[np.intp], weights: Array, start: Array) -> float:
    likelihood = log_softmax(signals @ weights)[np.arange(len(right)), right].sum()
    return float(PULL * ((weights - start) ** 2).sum() / 2 - likelihood)


def _largest(matrix: Array) -> float:
    """The largest eigenvalue of a symmetric positive matrix, by power iteration."""
    vector = np.ones(len(matrix))
    size = 0.0
    for _ in range(POWER_STEPS):
        vector = matrix @ vector
        size = float(np.linalg.norm(vector))
        if size == 0.0:
            return size
        vector = vector / size
    return size
