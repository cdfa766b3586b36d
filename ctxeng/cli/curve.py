"""The learning curve as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ctxeng.errors import BadInput

SUFFIXES = (".png", ".svg")
_FIFTHS = 5
_LEARNING, _DARK, _BEFORE = "#1f6feb", "#0b3d91", "#8b949e"


def check_picture(path: Path) -> None:
    """Raises BadInput where no picture can be written there."""
    if path.suffix.lower() not in SUFFIXES:
        raise BadInput(f"{path}: a picture ends in {' or '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise BadInput(f"{path}: there is no folder {path.parent}")


def draw(
    path: Path,
    title: str,
    scores: Sequence[float],
    before: Sequence[float] = (),
    epochs: int = 1,
) -> None:
    """Writes the scores over the stream: a running mean, fifths, and what they were before learning."""
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    span = max(1, min(100, max(20, len(scores) // 8), len(scores)))
    if before:
        mean = sum(before) / len(before)
        axes.axhline(
            mean, color=_BEFORE, linestyle="--", linewidth=1.2, label=f"before learning ({mean:.3f})"
        )
        axes.plot(*_running(before, span), color=_BEFORE, linewidth=0.8, alpha=0.6)
    axes.plot(*_running(scores, span), color=_LEARNING, linewidth=1.6, label=f"mean of {span} tasks")
    cuts = [len(scores) * part // _FIFTHS for part in range(_FIFTHS + 1)]
    for start, end in pairwise(cuts):
        if end > start:
            mean = sum(scores[start:end]) / (end - start)
            axes.hlines(mean, start, end, color=_LEARNING, linewidth=5, alpha=0.25)
            place = ((start + end) / 2, mean)
            axes.annotate(f"{mean:.2f}", place, (0, 5), textcoords="offset points", ha="center", color=_DARK)
    for epoch in range(1, epochs):
        axes.axvline(len(scores) * epoch / epochs, color="#d0d7de", linewidth=1)
    axes.set(xlabel="tasks answered", ylabel="score", ylim=(-0.02, 1.02), xlim=(0, max(1, len(scores))))
    axes.set_title(title, loc="left", fontsize=11)
    axes.grid(axis="y", color="#eaeef2")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="best", frameon=False, fontsize=9)
    figure.savefig(path, dpi=150)


def _running(scores: Sequence[float], span: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean of each `span` scores, at the last of them."""
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(scores, dtype=np.float64))])
    width = min(span, len(scores))
    means = (sums[width:] - sums[:-width]) / width if width else sums[:0]
    return np.arange(width, len(scores) + 1, dtype=np.float64), means
