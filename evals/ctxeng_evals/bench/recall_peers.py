"""kvpress on the trained instrument: right answers by turn, and the bytes its caches really hold."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from ctxeng.errors import BadInput
from ctxeng.extras import installed
from ctxeng_evals.bench.recall import COUNT, LENGTH, TURNS, exercise_of
from ctxeng_evals.bench.table import Figures, Row
from ctxeng_evals.instrument.shipped import FOLDER, instrument
from ctxeng_evals.instrument.tasks import Exercise

Press = Callable[[], Any]


def run(seed: int = 0) -> Figures:
    """Its presses in both of SCBench's modes. Raises BadInput where kvpress is not installed."""
    if not installed("kvpress"):
        raise BadInput(
            "kvpress is not installed: pip install kvpress, in an environment of its own, "
            "for it wants an older transformers than ours"
        )
    from transformers import AutoModelForCausalLM  # noqa: PLC0415 - seconds
    from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415

    disable_progress_bar()
    tool = instrument()
    rng = np.random.default_rng(seed + 1000)  # as `bench recall` draws them
    exercises = [exercise_of(rng, tool) for _ in range(COUNT)]
    model = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32).eval()
    rows: list[Row] = []
    for mode, play in (("one session", session), ("shared context", shared)):
        dense = measured(model, exercises, play)
        rows += rows_of(f"{mode}: dense (DynamicCache)", dense, dense)
        for name, press in presses().items():
            rows += rows_of(f"{mode}: kvpress {name}", measured(model, exercises, play, press), dense)
    notes = (
        f"the exercises of `bench recall`: {COUNT} of {LENGTH} tokens, {TURNS} questions each",
        "one session: thinned when the first question was read; shared context: thinned before any was",
        "held: memory of the cache's tensors once thinned, against the dense cache of the same run;",
        "AdaKV masks rows and ThinK writes zeros into channels: both keep every tensor whole",
        "options are kvpress's own (SnapKV: window 64, pooled over 5; ours: 32 and 7)",
        f"kvpress {version('kvpress')}, transformers {version('transformers')}",
    )
    return Figures("recall_peers", tuple(rows), notes, seed)


def presses() -> dict[str, Press]:
    """By name and what is kept."""
    import kvpress  # noqa: PLC0415 - ten seconds

    found: dict[str, Press] = {}
    for kept in (0.5, 0.25):
        found[f"SnapKV {kept:g}"] = partial(kvpress.SnapKVPress, 1 - kept)
        found[f"key norm {kept:g}"] = partial(kvpress.KnormPress, 1 - kept)
    found["AdaKV over SnapKV 0.5"] = lambda: kvpress.AdaKVPress(kvpress.SnapKVPress(0.5))
    found["ThinK 0.5"] = partial(kvpress.ThinKPress, 0.5)
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
        """Bytes of the memory behind the cache's tensors, whatever part of it they show."""
        held = (tensor for layer in self.cache.layers for tensor in (layer.keys, layer.values))
        return sum(tensor.untyped_storage().nbytes() for tensor in held)


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
    model: Any,
    exercises: Sequence[Exercise],
    play: Callable[[Talk, Exercise, Any], list[bool]],
    press: Press | None = None,
) -> Outcome:
    """Play all exercises, each with a press of its own; without one, dense."""
    right, held = [], []
    for exercise in exercises:
        talk = Talk.begun(model)
        right.append(play(talk, exercise, None if press is None else press()))
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
