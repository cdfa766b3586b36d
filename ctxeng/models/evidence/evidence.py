"""Pick a choice from what was learned: a small model refitted from the cases, nothing stored beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ctxeng.models.evidence.logit import fit_correction, fit_weights, log_softmax
from ctxeng.models.evidence.ridge import Kernels, coefficients
from ctxeng.models.evidence.signals import (
    HABITS,
    LIKENESSES,
    START,
    VOTES,
    habit,
    held_out_signals,
    likeness,
    one_hot,
    spreads,
)
from ctxeng.models.evidence.types import Array, Case, Embed
from ctxeng.models.evidence.views import Offer, Parsed, Questions, questions
from ctxeng.turn import Choice

REFIT = 40  # weights are fitted on the first 40, 80, 120 ... usable cases, so that loads between share them
MOST_CASES = 1500  # the newest of those that weights are fitted on; the votes come from all cases
MOST_CELLS = 400_000  # cases x choices to fit weights on: bounds memory where choices are many
MOST_SUPPORT = 3


@dataclass(frozen=True)
class Weighing:
    """What cases first to last (excluded) say of the signals: (s,) weights, (last - first, c) correction."""

    weights: Array
    correction: Array
    first: int
    last: int


@dataclass(frozen=True)
class Evidence:
    """A fitted picker among `choices`: equal cases, choices and embedder give equal scores, bit for bit.

    Signals for each choice (its likeness to the question, votes of the cases by kernel ridge, how often it
    was right) are weighed by a conditional logit fitted on votes held out by group; a kernel logit then
    corrects what the signals leave, in terms shared by choices that have words in common.
    """

    choices: tuple[Choice, ...]
    cases: tuple[Case, ...]  # those that mean one of the choices
    _numbers: tuple[int, ...] = field(repr=False)  # their places among the cases given
    embed: Embed = field(repr=False)
    _offer: Offer = field(repr=False)
    parsed: Mapping[str, Parsed] = field(repr=False)  # by cue
    _known: Questions = field(repr=False)
    weighing: Weighing = field(repr=False)
    _voices: Kernels = field(repr=False)  # by kernel, (n, c): what each case adds to each choice when alike
    _habit: Array = field(repr=False)  # (c,)

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
        place = {choice.value: number for number, choice in reversed(tuple(enumerate(offered)))}
        numbers = tuple(number for number, case in enumerate(cases) if case.means in place)
        usable = tuple(cases[number] for number in numbers)
        right = np.array([place[case.means] for case in usable], dtype=np.intp)
        old = previous if previous and previous.embed == embed else None
        kept = old.parsed if old else {}
        parsed = {case.cue: kept.get(case.cue) or Parsed.of(case.cue) for case in usable}
        offer = Offer.of(offered, embed)
        known = questions([parsed[case.cue] for case in usable], offer, embed)
        last = len(usable) - len(usable) % REFIT
        if old and old.weighing.last == last and old.choices == offered and old.cases[:last] == usable[:last]:
            weighing = old.weighing
        else:
            weighing = _weigh(usable[:last], known, right, offer)
        habits = habit(one_hot(right, len(offered)).sum(axis=0)) @ weighing.weights[-HABITS:]
        voices = _voices(known, right, offer, weighing)
        return cls(offered, usable, numbers, embed, offer, parsed, known, weighing, voices, habits)

    def scores(self, query: str) -> Array:
        """(choices,) log-probabilities that each is the right one for `query`: a question, or its cue."""
        asked = questions([Parsed.of(query)], self._offer, self.embed)
        likenesses = likeness(asked, self._offer)[0] @ self.weighing.weights[:LIKENESSES]
        alike = Kernels.between(asked, self._known)
        votes = (
            alike.near @ self._voices.near + alike.whole @ self._voices.whole + alike.both @ self._voices.both
        )
        return log_softmax(likenesses + self._habit + votes[0])

    def support(self, query: str, choice_index: int) -> list[int]:
        """At most three cases that added most to a choice: their places among those given to `fit`."""
        asked = questions([Parsed.of(query)], self._offer, self.embed)
        alike = Kernels.between(asked, self._known).named()
        voices = self._voices.named()
        added = np.sum([alike[kernel][0] * voices[kernel][:, choice_index] for kernel in alike], axis=0)
        best = np.argsort(-added, kind="stable")[:MOST_SUPPORT]
        return [self._numbers[case] for case in best if added[case] > 0]


def _weigh(cases: Sequence[Case], known: Questions, right: NDArray[np.intp], offer: Offer) -> Weighing:
    """Weights and correction from `cases`, the first rows of `known`; without any, the starting weights."""
    last = len(cases)
    choices = len(offer.meaning)
    first = last - min(last, MOST_CASES, MOST_CELLS // choices)
    if first == last:
        return Weighing(START, np.zeros((0, choices)), first, last)
    known, right = known.rows(first, last), right[first:last]
    signals = held_out_signals(known, right, _groups(cases[first:]), offer)
    weights = fit_weights(signals, right, START)
    near = Kernels.between(known, known).near
    correction = fit_correction(near, spreads(offer)["words"], signals @ weights, right)
    return Weighing(weights, correction, first, last)


def _voices(known: Questions, right: NDArray[np.intp], offer: Offer, weighing: Weighing) -> Kernels:
    """What the cases say, summed over votes: scores are linear in them, so one matrix a kernel is enough."""
    spread = spreads(offer)
    truth = one_hot(right, len(offer.meaning))
    kernels = Kernels.between(known, known)
    duals = {name: coefficients(kernel, truth) for name, kernel in kernels.named().items()}
    voices = {name: np.zeros_like(truth) for name in duals}
    for (kernel, over), weight in zip(VOTES, weighing.weights[LIKENESSES:-HABITS], strict=True):
        voices[kernel] += weight * (duals[kernel] @ spread[over])
    voices["near"][weighing.first : weighing.last] += weighing.correction @ spread["words"]
    return Kernels(**voices)


def _groups(cases: Sequence[Case]) -> list[NDArray[np.intp]]:
    """Row numbers of the cases learned together; a case without a group stands alone."""
    rows: dict[tuple[str, int], list[int]] = {}
    for row, case in enumerate(cases):
        rows.setdefault((case.group, -1 if case.group else row), []).append(row)
    return [np.array(group, dtype=np.intp) for group in rows.values()]
