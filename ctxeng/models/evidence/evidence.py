"""Pick a choice from what was learned: a small model refitted from the cases, with nothing stored beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ctxeng.models.evidence.logit import fit_correction, fit_weights, log_softmax
from ctxeng.models.evidence.ridge import Kernels, coefficients
from ctxeng.models.evidence.signals import (
    START,
    VOTES,
    habit,
    held_out_signals,
    likeness,
    one_hot,
    spreads,
)
from ctxeng.models.evidence.text import read
from ctxeng.models.evidence.types import Array, Case, Choice, Embed, Vectors
from ctxeng.models.evidence.views import Offer, Questions, nearby, questions

REFIT = 40  # weights are fitted on the first 40, 80, 120 ... usable cases, so that loads between share them
MOST_CASES = 1500  # used to fit weights; the votes come from all
MOST_CELLS = 400_000  # cases x choices used to fit weights: keeps a thousand choices in memory
MOST_SUPPORT = 3
LIKENESSES = 3


@dataclass(frozen=True)
class Weighing:
    """What the first cases said about the signals: (s,) weights, and (m, c) correction of m of them from `first`."""

    weights: Array
    correction: Array
    first: int = 0


@dataclass(frozen=True)
class Evidence:
    """A fitted picker among `choices`. Equal cases, choices and embedder give equal scores, bit for bit.

    Signals of each choice (likeness to the question, votes of the cases by kernel ridge, how often it was
    right) are weighed by a conditional logit fitted on held-out votes; a kernel logit corrects what remains.
    """

    choices: tuple[Choice, ...]
    _cases: tuple[Case, ...]  # those that mean one of the choices
    _numbers: tuple[int, ...]  # their positions among the cases given
    _embed: Embed = field(repr=False)
    _offer: Offer = field(repr=False)
    _near: Mapping[str, Vectors] = field(repr=False)
    _known: Questions = field(repr=False)
    _counts: Array = field(repr=False)
    _weighing: Weighing = field(repr=False)
    _duals: Mapping[str, Array] = field(repr=False)

    @classmethod
    def fit(
        cls,
        cases: Sequence[Case],
        choices: Sequence[Choice],
        embed: Embed,
        previous: "Evidence | None" = None,
    ) -> "Evidence":
        """The model of `cases` for `choices`; `previous` only saves time: the result is the same without it.

        Cases that mean none of the choices are left out. Raises ValueError where there is no choice.
        """
        if not choices:
            raise ValueError("evidence needs at least one choice to pick from")
        offered = tuple(choices)
        place = {choice.value: number for number, choice in reversed(list(enumerate(offered)))}
        numbers = tuple(number for number, case in enumerate(cases) if case.means in place)
        usable = tuple(cases[number] for number in numbers)
        right = np.array([place[case.means] for case in usable], dtype=np.intp)
        offer = Offer.of(offered, embed)
        kept = previous._near if previous else {}
        readings = {case.cue: read(case.cue) for case in usable}
        near = {text: kept[text] if text in kept else nearby(readings[text]) for text in readings}
        known = questions(
            [readings[case.cue] for case in usable], [near[case.cue] for case in usable], offer, embed
        )
        weighing = _weigh(usable, right, known, offer, offered, previous)
        duals = _duals(right, known, offer, weighing)
        counts = one_hot(right, len(offered)).sum(axis=0)
        return cls(offered, usable, numbers, embed, offer, near, known, counts, weighing, duals)
