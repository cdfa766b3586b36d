"""Say what speaks for each choice: its likeness to the question, the cases' votes, and habit."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ctxeng.models.evidence.ridge import Kernels, held_out
from ctxeng.models.evidence.types import Array
from ctxeng.models.evidence.views import Offer, Questions

# Starting weights, which the fitted ones are pulled towards: likeness and votes count about alike, and habit
# says nothing until cases say that it does.
LIKENESS = 5.0
VOTE = 3.0
HABIT_SCALE = 3.0  # log1p(count) / 3 is about one at twenty cases

# Each vote: which of the kernels casts it, and over which likeness of choices it spreads. Further pairs did
# not pay on FiNER (each under half a point), nor did a kernel of the masked window.
VOTES = (("near", "same"), ("whole", "meaning"), ("both", "meaning"))
LIKENESSES, HABITS = 3, 2  # signals of each kind
START = np.array([LIKENESS] * LIKENESSES + [VOTE] * len(VOTES) + [0.0] * HABITS)


def spreads(offer: Offer) -> dict[str, Array]:
    """(c, c) likenesses of choices: the same one, shared words of the name, and meaning of the name."""
    centred = (offer.meaning - offer.meaning.mean(axis=0)).astype(np.float64)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    meaning = centred / np.where(length > 0, length, 1.0)
    return {
        "same": np.eye(len(offer.meaning)),
        "words": (offer.worded @ offer.worded.T).astype(np.float64),
        "meaning": np.maximum(meaning @ meaning.T, 0.0),
    }


def likeness(asked: Questions, offer: Offer) -> Array:
    """(n, c, 3) zero-shot signals: the text and the window against the name's meaning, and shared words."""
    views = (
        asked.whole @ offer.meaning.T,
        asked.masked @ offer.meaning.T,
        asked.said @ offer.worded.T,
    )
    return np.stack(views, axis=-1).astype(np.float64)


def habit(counts: Array) -> Array:
    """(..., 2) from how often each choice was right: its logarithm, and whether it never was."""
    return np.stack([np.log1p(counts) / HABIT_SCALE, (counts < 1).astype(np.float64)], axis=-1)


def held_out_signals(
    known: Questions,
    right: NDArray[np.intp],
    groups: Sequence[NDArray[np.intp]],
    offer: Offer,
) -> Array:
    """(n, c, s) signals of each case as if its group had not been learned."""
    truth = one_hot(right, len(offer.meaning))
    spread = spreads(offer)
    kernels = Kernels.between(known, known).named()
    votes = {name: held_out(kernel, truth, groups) for name, kernel in kernels.items()}
    counts = np.tile(truth.sum(axis=0), (len(truth), 1))
    for group in groups:
        counts[group] -= truth[group].sum(axis=0)
    cast = np.stack([votes[kernel] @ spread[over] for kernel, over in VOTES], axis=-1)
    return np.concatenate([likeness(known, offer), cast, habit(counts)], axis=-1)


def one_hot(right: NDArray[np.intp], choices: int) -> Array:
    """(n, c) with a one at each right choice."""
    truth = np.zeros((len(right), choices))
    truth[np.arange(len(right)), right] = 1.0
    return truth
