"""Exercises as tensors: ids, where the answers stand, positions, and who sees whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctxeng_evals.instrument.tasks import Exercise


@dataclass(frozen=True)
class Batch:
    """ids, positions, `answers` (to be predicted), `real` (no padding): [B, T]; mask [B, 1, T, T] or None."""

    ids: Tensor
    positions: Tensor
    answers: Tensor
    real: Tensor
    mask: Tensor | None


def collate(exercises: Sequence[Exercise], *, parallel: bool = False, offsets: Sequence[int] = ()) -> Batch:
    """One batch, padded at the end; `offsets` shift the positions of each exercise.

    With `parallel`, documents see the head and themselves only, all start at the position after the head,
    and the questions see everything from behind the longest (APE, Yang et al. 2025, section 3).
    """
    length = max(exercise.length for exercise in exercises)
    shape = (len(exercises), length)
    ids, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    answers, real = np.zeros(shape, bool), np.zeros(shape, bool)
    pieces = np.zeros(shape, np.int64)
    for row, exercise in enumerate(exercises):
        tokens, marked = written(exercise)
        size = len(tokens)
        ids[row, :size], answers[row, :size], real[row, :size] = tokens, marked, True
        positions[row, :size], pieces[row, :size] = placed(exercise, parallel=parallel)
        positions[row] += offsets[row] if offsets else 0
    mask = torch.from_numpy(seen(pieces)) if parallel else None
    tensors = [torch.from_numpy(x) for x in (ids, positions, answers, real)]
    return Batch(tensors[0], tensors[1], tensors[2], tensors[3], mask)


def written(exercise: Exercise) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """All tokens in order, and which of them are answers."""
    tokens = [*exercise.head, *(token for document in exercise.documents for token in document)]
    marked = [False] * len(tokens)
    for question in exercise.questions:
        tokens += [*question.ask, *question.answer]
        marked += [False] * len(question.ask) + [True] * len(question.answer)
    return np.array(tokens), np.array(marked)


def placed(exercise: Exercise, *, parallel: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions, and the piece of each token: 0 the head, 1.. the documents, -1 the questions."""
    head, sizes = len(exercise.head), [len(document) for document in exercise.documents]
    asked = exercise.length - head - sum(sizes)
    pieces = np.repeat(np.array([0, *range(1, len(sizes) + 1), -1]), np.array([head, *sizes, asked]))
    if not parallel:
        return np.arange(exercise.length), pieces
    runs = [np.arange(head), *(head + np.arange(size) for size in sizes)]
    runs.append(head + max(sizes, default=0) + np.arange(asked))
    return np.concatenate(runs), pieces


def seen(pieces: NDArray[np.int64]) -> NDArray[np.bool_]:
    """[B, 1, T, T]: True where the row's token may look at the column's."""
    row, column = pieces[:, :, None], pieces[:, None, :]
    allowed = (row == column) | (column == 0) | (row == -1)
    found: NDArray[np.bool_] = (allowed & np.tri(pieces.shape[1], dtype=bool))[:, None]
    return found
