"""Boosted trees fitted by scikit-learn, and written down as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctxeng.chunks.rank.forest import Forest

Floats = NDArray[np.float64]

OPTIONS = {
    "max_iter": 120,
    "learning_rate": 0.07,
    "max_leaf_nodes": 10,
    "min_samples_leaf": 30,
    "l2_regularization": 1.0,
    "max_features": 0.3,
    "early_stopping": False,
}
_HIGHEST = 1e300  # JSON knows no infinity
_DIGITS = 6  # of a leaf's value


def fitted(rows: Floats, gold: NDArray[np.bool_], weights: Floats, seed: int) -> Forest:
    """A forest fitted to (N, F) rows by weighted log-loss."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - only training needs it

    learner = HistGradientBoostingClassifier(**OPTIONS, random_state=seed)
    learner.fit(rows, gold, sample_weight=weights / weights.mean())
    return _written(learner)


def averaged(forests: Sequence[Forest]) -> Forest:
    """The forest whose log-odds are the mean of these."""
    starts = np.cumsum([0, *(len(forest.feature) for forest in forests)]).tolist()
    moved = list(zip(forests, starts, strict=False))
    count = len(forests)
    return Forest(
        start=sum(forest.start for forest in forests) / count,
        roots=tuple(root + base for forest, base in moved for root in forest.roots),
        feature=tuple(each for forest in forests for each in forest.feature),
        threshold=tuple(each for forest in forests for each in forest.threshold),
        left=tuple(place + base if place else 0 for forest, base in moved for place in forest.left),
        right=tuple(place + base if place else 0 for forest, base in moved for place in forest.right),
        missing_left=tuple(each for forest in forests for each in forest.missing_left),
        value=tuple(float(f"{each / count:.{_DIGITS}g}") for forest in forests for each in forest.value),
    )


def _written(learner: Any) -> Forest:
    """As scikit-learn 1.3 to 1.9 keeps them in `_predictors`: children are places within a tree."""
    trees = [stage[0].nodes for stage in learner._predictors]  # noqa: SLF001 - there is no public way
    starts = np.cumsum([0, *(len(nodes) for nodes in trees)])
    nodes = np.concatenate(trees)
    leaf = nodes["is_leaf"].astype(bool)
    base = np.repeat(starts[:-1], [len(tree) for tree in trees])
    return Forest(
        start=float(np.ravel(learner._baseline_prediction)[0]),  # noqa: SLF001 - as above
        roots=tuple(starts[:-1].tolist()),
        feature=tuple(np.where(leaf, -1, nodes["feature_idx"]).tolist()),
        # exact: a threshold may be a value that rows have; infinite where only missing values go right
        threshold=tuple(np.where(leaf, 0.0, np.minimum(nodes["num_threshold"], _HIGHEST)).tolist()),
        left=tuple(np.where(leaf, 0, nodes["left"] + base).tolist()),
        right=tuple(np.where(leaf, 0, nodes["right"] + base).tolist()),
        missing_left=tuple(np.where(leaf, 0, nodes["missing_go_to_left"]).astype(int).tolist()),
        value=tuple(float(f"{value:.{_DIGITS}g}") for value in np.where(leaf, nodes["value"], 0.0)),
    )
