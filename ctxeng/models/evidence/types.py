"""The values the evidence model takes: cases learned, choices offered, and an embedder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Vectors = NDArray[np.float32]

# (n,) texts -> (n, d) float32, rows of length one. The same text must give the same row whatever stands
# beside it in the batch: the caller caches by text.
Embed = Callable[[Sequence[str]], Vectors]


@dataclass(frozen=True)
class Case:
    """One learned entry: `cue` is what was asked, `means` the right choice's value.

    Cases of one `group` were learned together (say, from one record with several questions) and are never
    used to predict each other while fitting. An empty group stands for a group of its own.
    """

    cue: str
    means: str
    group: str = ""
