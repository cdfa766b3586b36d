"""kvpress on the trained instrument: right answers by turn, and the bytes its caches really hold."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ctxeng.errors import BadInput
from ctxeng_evals.bench.recall import COUNT, LENGTH, TURNS, exercise_of
from ctxeng_evals.bench.table import Figures, Row
from ctxeng_evals.instrument.shipped import FOLDER, instrument
from ctxeng_evals.instrument.tasks import Exercise

Press = Callable[[], Any]


def run(seed: int = 0) -> Figures:
    """Its presses in both of SCBench's modes. Raises BadInput where kvpress is not installed."""
    if importlib.util.find_spec("kvpress") is None:
        raise BadInput("kvpress is not installed: pip install kvpress, in an environment of its own")
    from transformers import AutoModelForCausalLM  # noqa: PLC0415 - seconds

    tool = instrument()
    rng = np.random.default_rng(seed + 1000)
    exercises = [exercise_of(rng, tool) for _ in range(COUNT)]
    model = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32).eval()
    rows: list[Row] = []
    for mode, play in (("one session", session), ("shared context", shared)):
        dense = measured(model, exercises, play, nullcontext)
        for name, press in {"dense (DynamicCache)": nullcontext, **presses()}.items():
            found = dense if press is nullcontext else measured(model, exercises, play, press)
            rows += rows_of(f"{mode}: {name}", found, dense)
    notes = (
        f"the exercises of `bench recall`: {COUNT} of {LENGTH} tokens, {TURNS} questions each",
        "held: bytes of the cache's tensors after the context; AdaKV masks rows and ThinK zeroes channels",
    )
    return Figures("recall_peers", tuple(rows), notes, seed)


def presses() -> dict[str, Press]:
    """By name and what is kept."""
    import kvpress  # noqa: PLC0415 - ten seconds

    found: dict[str, Press] = {}
    for gone in (0.5, 0.75):
        found[f"kvpress SnapKV {1 - gone:g}"] = lambda gone=gone: kvpress.SnapKVPress(gone)  # type: ignore[misc]
        found[f"kvpress key norm {1 - gone:g}"] = lambda gone=gone: kvpress.KnormPress(gone)  # type: ignore[misc]
    found["kvpress AdaKV over SnapKV 0.5"] = lambda: kvpress.AdaKVPress(kvpress.SnapKVPress(0.5))
    found["kvpress ThinK 0.5"] = lambda: kvpress.ThinKPress(0.5)
    return found


@dataclass
class Talk:
    """One conversation over a DynamicCache; `at` is the position of the next token, whatever was pruned."""

    model: Any
    cache: Any
    at: int = 0
    held: list[int] = field(default_factory=list)

    @classmethod
    def begun(cls, model: Any) -> Talk:
        """An empty one."""
        from transformers import DynamicCache  # noqa: PLC0415 - seconds

        return cls(model, DynamicCache())

    def read(self, ids: Sequence[int], press: Any = None) -> int:
        """Read tokens, thinned by the press if there is one; the likeliest next token."""
        positions = torch.arange(self.at, self.at + len(ids)).unsqueeze(0)
        with press(self.model) if press is not None else nullcontext():
            out = self.model(
                torch.tensor([list(ids)]), past_key_values=self.cache, position_ids=positions, use_cache=True
            )
        self.at += len(ids)
        return int(out.logits[0, -1].argmax())

    def answer(self, first: int, count: int) -> tuple[int, ...]:
        """So many tokens, the first being chosen already; all are read."""
        found = [first]
        while len(found) < count:
            found.append(self.read(found[-1:]))
        self.read(found[-1:])
        return tuple(found)

    @property
    def nbytes(self) -> int:
        """Bytes of the cache's tensors."""
        return sum(int(layer.keys.nbytes + layer.values.nbytes) for layer in self.cache.layers)


def context_of(exercise: Exercise) -> list[int]:
    """Its head and documents."""
    return [*exercise.head, *(token for document in exercise.documents for token in document)]


def session(talk: Talk, exercise: Exercise, press: Any) -> list[bool]:
    """All questions in one conversation; thinned when the first was read."""
    found = []
    for number, question in enumerate(exercise.questions[:TURNS]):
        asked = [*(context_of(exercise) if number == 0 else ()), *question.ask]
        first = talk.read(asked, press if number == 0 else None)
        talk.held += [talk.nbytes] if number == 0 else []
        found.append(talk.answer(first, len(question.answer)) == question.answer)
    return found


def shared(talk: Talk, exercise: Exercise, press: Any) -> list[bool]:
    """The context once, thinned before anything is asked; each question on a copy."""
    talk.read(context_of(exercise), press)
    talk.held.append(talk.nbytes)
    found = []
    for question in exercise.questions[:TURNS]:
        own = Talk(talk.model, copy.deepcopy(talk.cache), talk.at)
        found.append(own.answer(own.read(question.ask), len(question.answer)) == question.answer)
    return found


@dataclass(frozen=True)
class Outcome:
    """Right answers by turn [exercises, turns], and mean bytes held."""

    right: np.ndarray[tuple[int, int], np.dtype[np.bool_]]
    held: float


@torch.inference_mode()  # type: ignore[untyped-decorator]
def measured(
    model: Any, exercises: Sequence[Exercise], play: Callable[[Talk, Exercise, Any], list[bool]], press: Press
) -> Outcome:
    """Play all exercises; a fresh press each time, for presses keep what they masked."""
    right, held = [], []
    for exercise in exercises:
        talk = Talk.begun(model)
        right.append(play(talk, exercise, None if press is nullcontext else press()))
        held.append(talk.held[0])
        for layer in model.model.layers:  # AdaKV's masks live on the modules
            layer.self_attn.masked_key_indices = None
    return Outcome(np.array(right), float(np.mean(held)))


def rows_of(label: str, found: Outcome, dense: Outcome) -> list[Row]:
    """First turn, the mean of the later ones, bytes held."""
    return [
        Row(f"{label}: turn 1", 100 * float(found.right[:, 0].mean()), "% right"),
        Row(f"{label}: turns 2 to {TURNS}", 100 * float(found.right[:, 1:].mean()), "% right"),
        Row(f"{label}: held", 100 * found.held / dense.held, "% of bytes"),
    ]
