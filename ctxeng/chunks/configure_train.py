"""Training the configuration agent from logged outcomes: one ridge regression a configuration."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from ctxeng.chunks.configure import Agent, Head, design
from ctxeng.chunks.configure_log import SelectionOutcome
from ctxeng.chunks.pool import Floats
from ctxeng.errors import BadInput

_PENALTIES = (1.0, 10.0, 100.0, 1_000.0, 10_000.0)


def train(
    records: Sequence[SelectionOutcome], default: str, minimum: int = 30, caution: float = 2.0
) -> Agent:
    """An agent that expects of each configuration with at least `minimum` outcomes what these show.

    Equal records, in any order, give an equal agent. CORAG trains a Siamese network against the best
    reranker of each query; here it is a regression of the outcomes themselves, so that what was never tried
    on a question needs no label, and a gain can be weighed against its error. Raises BadInput where records
    are of several feature versions, where there is none, and for a minimum below 2.
    """
    if minimum < 2:  # noqa: PLR2004 - one outcome has no error
        raise BadInput(f"configuration agent: minimum is {minimum}; give 2 or more outcomes")
    versions = sorted({record.version for record in records})
    if len(versions) != 1 or len({len(record.features) for record in records}) != 1:
        raise BadInput(
            f"configuration agent: outcomes of one feature version are needed, these have "
            f"{', '.join(map(repr, versions)) or 'none'}"
        )
    counts = Counter(record.configuration for record in records)
    enough = {name for name, count in counts.items() if count >= minimum}
    used = sorted(
        (record for record in records if record.configuration in enough),
        key=lambda record: (record.turn, record.configuration, record.score, record.features),
    )
    found = np.array([record.features for record in used or records])
    centre, scale = found.mean(axis=0), found.std(axis=0)
    scale[scale < 1e-9] = 1.0  # noqa: PLR2004 - a feature that never changed
    heads = _heads(used, design(found, centre, scale)) if used else {}
    return Agent(
        version=versions[0],
        default=default,
        fallback=_fallback(heads, default, caution),
        minimum=minimum,
        caution=caution,
        centre=tuple(centre.tolist()),
        scale=tuple(scale.tolist()),
        heads=heads,
        thin={name: count for name, count in {default: 0, **counts}.items() if name not in heads},
    )


def _heads(records: Sequence[SelectionOutcome], rows: Floats) -> dict[str, Head]:
    levelled, swollen = _levelled(records)
    names = np.array([record.configuration for record in records])
    heads = {}
    for name in sorted(set(names.tolist())):
        mine = names == name
        heads[name] = _ridge(rows[mine], levelled[mine], float(swollen[mine].mean()))
    return heads


def _levelled(records: Sequence[SelectionOutcome]) -> tuple[Floats, Floats]:
    """Scores without how hard the question was, where several configurations tried it; and what that hides.

    Differences between configurations on one question stay as they are, and the question's own ups and
    downs go. Averaging over k configurations hides a k-th of the noise: the second array has the factors to
    multiply its variance with.
    """
    scores = np.array([record.score for record in records])
    names = np.array([record.configuration for record in records])
    means = {name: scores[names == name].mean() for name in set(names.tolist())}
    above = scores - np.array([means[name] for name in names.tolist()])
    swollen = np.ones(len(scores))
    turns: dict[str, list[int]] = defaultdict(list)
    for place, record in enumerate(records):
        turns[record.turn].append(place)
    for places in turns.values():
        if len(places) > 1:
            scores[places] -= above[places].mean()
            swollen[places] = len(places) / (len(places) - 1)
    return scores, swollen


def _ridge(rows: Floats, scores: Floats, swollen: float) -> Head:
    fits = [_fit(rows, scores, penalty) for penalty in _PENALTIES]
    weights, inverse, noise = min(fits, key=lambda fit: fit[2])
    return Head(
        weights=tuple(weights.tolist()),
        covariance=tuple(tuple(row) for row in (inverse * noise * swollen).tolist()),
        mean=float(scores.mean()),
        error=math.sqrt(float(scores.var()) * swollen / len(scores)),
        n=len(scores),
    )


def _fit(rows: Floats, scores: Floats, penalty: float) -> tuple[Floats, Floats, float]:
    """Weights, the inverse of the penalised Gram matrix, and the mean squared error of rows left out."""
    held = np.full(rows.shape[1], penalty)
    held[0] = 1e-9  # the intercept is free
    inverse: Floats = np.linalg.inv(rows.T @ rows + np.diag(held)).astype(np.float64)
    weights = inverse @ rows.T @ scores
    leverage = ((rows @ inverse) * rows).sum(axis=1)
    left_out = (scores - rows @ weights) / np.maximum(1 - leverage, 1e-6)
    return weights, inverse, float(np.mean(left_out**2))


def _fallback(heads: Mapping[str, Head], default: str, caution: float) -> str:
    """The default, or the best of those that did better than it by more than `caution` standard errors."""
    if default not in heads:
        return default
    held = heads[default]
    better = [
        name
        for name, head in heads.items()
        if head.mean - held.mean > caution * math.hypot(head.error, held.error)
    ]
    return max(sorted(better), key=lambda name: heads[name].mean, default=default)
