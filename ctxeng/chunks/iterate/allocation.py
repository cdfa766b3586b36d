"""How to spend a token budget on documents, demonstrations and iterations (Yue et al., section 5)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ctxeng.errors import BadInput

Floats = NDArray[np.float64]

_SHIFT = 0.1  # added before the logarithm, so that "none" is a setting, too
_EDGE = 0.01  # scores are kept this far from 0 and 1, where the logit is infinite


class Setting(NamedTuple):
    """Documents and demonstrations in each prompt, and the number of prompts."""

    docs: int
    shots: int
    iterations: int


class Gain(NamedTuple):
    """How informative a task's documents and demonstrations are: the score that the first of each adds."""

    docs: float = 0.0
    shots: float = 0.0


@dataclass(frozen=True)
class Prices:
    """Tokens of a document, of a demonstration and of a reply; the parts of every prompt."""

    doc: int = 250
    shot: int = 600
    reply: int = 200

    def __call__(self, setting: Setting) -> int:
        """Tokens of all prompts and replies of the setting."""
        once = setting.docs * self.doc + setting.shots * self.shot + self.reply
        return max(1, setting.iterations) * once


_UNKNOWN, _PRICES = Gain(), Prices()


@dataclass(frozen=True)
class Allocation:
    """logit(score) = (a + b * gain) . log(setting) + c (arXiv 2410.04343). Made by `fit`."""

    a: tuple[float, float, float]
    b: tuple[float, float]  # documents, demonstrations; the paper has none for iterations
    c: float

    def predict(self, settings: Sequence[Setting], gain: Gain = _UNKNOWN) -> Floats:
        """(N,): the score expected of each setting, between 0 and 1."""
        found: Floats = 1 / (1 + np.exp(-_facts(settings, [gain] * len(settings)) @ self._weights))
        return found

    def allocate(
        self,
        budget: int,
        docs: Sequence[int] = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
        shots: Sequence[int] = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256),
        iterations: Sequence[int] = (1, 2, 3, 4, 5),
        price: Callable[[Setting], int] = _PRICES,
        gain: Gain = _UNKNOWN,
    ) -> Setting:
        """The setting of the highest expected score among those within the budget; of equals, the cheapest.

        Raises BadInput where none is.
        """
        grid = [Setting(*each) for each in itertools.product(docs, shots, iterations)]
        fits = sorted((each for each in grid if price(each) <= budget), key=price)
        if not fits:
            least = min(map(price, grid), default=0)
            raise BadInput(f"no setting fits a budget of {budget} tokens; the cheapest needs {least}")
        return fits[int(np.argmax(self.predict(fits, gain)))]

    @property
    def _weights(self) -> Floats:
        return np.array([*self.a, *self.b, self.c])


def fit(
    settings: Sequence[Setting], scores: Sequence[float], gains: Sequence[Gain] | None = None
) -> Allocation:
    """The model that is closest to these scores (0 to 1) by least squares of their logits.

    `gains` has one for each observation, where the settings were tried on several tasks. Raises BadInput for
    lists of different lengths, for none, and for scores outside 0 to 1.
    """
    known = gains or [Gain()] * len(settings)
    if not settings or not len(settings) == len(scores) == len(known):
        raise BadInput(
            f"{len(settings)} settings, {len(scores)} scores and {len(known)} gains do not pair up"
        )
    target = np.asarray(scores, dtype=np.float64)
    if not ((target >= 0) & (target <= 1)).all():
        raise BadInput("scores must lie between 0 and 1; divide percentages by 100")
    target = target.clip(_EDGE, 1 - _EDGE)
    weights = np.linalg.lstsq(_facts(settings, known), np.log(target / (1 - target)), rcond=None)[0].tolist()
    return Allocation(tuple(weights[:3]), tuple(weights[3:5]), weights[5])


def _facts(settings: Sequence[Setting], gains: Sequence[Gain]) -> Floats:
    """(N, 6): the logarithms, those of documents and demonstrations times their gain, and a one."""
    logs = np.log(np.asarray(settings, dtype=np.float64).reshape(-1, 3) + _SHIFT)
    gain = np.asarray(gains, dtype=np.float64).reshape(-1, 2)
    found: Floats = np.column_stack([logs, logs[:, :2] * gain, np.ones(len(logs))])
    return found
