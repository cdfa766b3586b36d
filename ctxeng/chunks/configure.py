"""CORAG's configuration agent: which reward, parameters and selector to use, picked by the question."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import FiniteFloat, ValidationError, model_validator

from ctxeng.chunks.configure_features import features, version
from ctxeng.chunks.configure_log import SelectionOutcome
from ctxeng.chunks.pool import Floats, Pool, Selection, Selector
from ctxeng.errors import BadInput, UnknownName
from ctxeng.message import Value
from ctxeng.retrieval.embed import TextEncoder
from ctxeng.storage.atomic import write_atomic

Row = tuple[FiniteFloat, ...]
REACH = 3.0  # standardised features are cut off here: what lies further out was not learned from


class Head(Value):
    """What one configuration is expected to score: a ridge regression, with the covariance of its weights.

    The first weight is the intercept. `mean` and `error` are of the configuration as a whole.
    """

    weights: Row
    covariance: tuple[Row, ...]
    mean: FiniteFloat
    error: FiniteFloat
    n: int


@dataclass(frozen=True)
class Choice:
    """The configuration picked, its expected gain over the fallback, that gain's standard error, and why."""

    configuration: str
    gain: float = 0.0
    error: float = 0.0
    note: str = ""


class Agent(Value):
    """A head for each configuration with enough outcomes; `thin` counts the outcomes of the others.

    `fallback` is the default, or the one configuration that did clearly better than it on the whole.
    """

    format: Literal[1] = 1
    version: str
    default: str
    fallback: str
    minimum: int
    caution: FiniteFloat
    centre: Row
    scale: Row
    heads: dict[str, Head]
    thin: dict[str, int] = {}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        size = len(self.centre) + 1
        for name, head in self.heads.items():
            if {len(self.scale) + 1, len(head.weights), len(head.covariance), *map(len, head.covariance)} != {
                size
            }:
                raise ValueError(f"the head of {name!r} is not of {size} weights")
        if self.heads and self.fallback not in {self.default, *self.heads}:
            raise ValueError(f"the fallback {self.fallback!r} has no head")
        return self

    def choose(self, found: Floats) -> Choice:
        """The configuration with the highest expected score, if it is clearly above the fallback's.

        Clearly: by more than `caution` standard errors. Abstains, and says so, with fewer than two heads or
        without the default's.
        """
        if self.default not in self.heads or len(self.heads) < 2:  # noqa: PLR2004 - nothing to choose between
            thin = ", ".join(f"{name} {count}" for name, count in sorted(self.thin.items()))
            note = f"the agent abstains: too few outcomes, {self.minimum} needed ({thin or 'none at all'})"
            return Choice(self.default, note=note)
        row = design(found[None, :], np.array(self.centre), np.array(self.scale))[0]
        expected = {name: float(row @ head.weights) for name, head in self.heads.items()}
        doubt = {name: float(row @ np.array(head.covariance) @ row) for name, head in self.heads.items()}
        best = Choice(self.fallback, note="no configuration is clearly better")
        for name in sorted(self.heads):
            gain = expected[name] - expected[self.fallback]
            error = math.sqrt(max(0.0, doubt[name] + doubt[self.fallback]))
            if name != self.fallback and gain > max(best.gain, self.caution * error):
                best = Choice(name, gain, error, f"expected gain {gain:.3f} (standard error {error:.3f})")
        return best

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        write_atomic(path, self.model_dump_json() + "\n")

    @classmethod
    def load(cls, path: Path) -> Agent:
        """Read what `save` wrote. Raises BadInput for anything else."""
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, ValidationError) as error:
            raise BadInput(f"{path}: no configuration agent ({error}); train it again") from error


def design(found: Floats, centre: Floats, scale: Floats) -> Floats:
    """(N, F + 1): rows of features, standardised and cut off, behind a column of ones."""
    held = np.clip((found - centre) / scale, -REACH, REACH)
    return np.hstack([np.ones((len(held), 1)), held])


@dataclass(frozen=True)
class Configured:
    """A selector that picks among `candidates`, each a selector with its reward and parameters, by name.

    Without an `agent` (the default) it is the candidate named `default`. Raises UnknownName where a name is
    no candidate's, BadInput for an agent that learned from other features or for another default.
    """

    candidates: Mapping[str, Selector]
    default: str
    agent: Agent | None = None
    encoder: TextEncoder | None = None

    def __post_init__(self) -> None:
        known = list(self.candidates)
        for name in (self.default, *(self.agent.heads if self.agent else ())):
            if name not in self.candidates:
                raise UnknownName("configuration", name, known)
        if self.agent and self.agent.version != self.version:
            raise BadInput(
                f"the configuration agent learned from features {self.agent.version!r}, these are "
                f"{self.version!r}; train it again"
            )
        if self.agent and self.agent.default != self.default:
            raise BadInput(
                f"the configuration agent was trained for the default {self.agent.default!r}, this is "
                f"{self.default!r}; train it again"
            )

    @property
    def version(self) -> str:
        """Which features it goes by."""
        return version(self.encoder.name if self.encoder else "")

    def select(self, pool: Pool, tokens: int) -> Selection:
        """What the configuration picked for this question selects; the note says which and why."""
        choice = self.choose(pool, tokens)
        found = self.candidates[choice.configuration].select(pool, tokens)
        notes = (f"configuration {choice.configuration}", choice.note, found.note)
        return replace(found, note="; ".join(note for note in notes if note))

    def choose(self, pool: Pool, tokens: int) -> Choice:
        """The configuration for this question; the default where there is no agent."""
        return self.agent.choose(self._features(pool, tokens)) if self.agent else Choice(self.default)

    def outcome(
        self, turn: str, pool: Pool, tokens: int, configuration: str, score: float
    ) -> SelectionOutcome:
        """What to log where this configuration, chosen by whomever, led to a score between 0 and 1."""
        if configuration not in self.candidates:
            raise UnknownName("configuration", configuration, list(self.candidates))
        found = tuple(self._features(pool, tokens).tolist())
        return SelectionOutcome(
            turn=turn, configuration=configuration, score=score, version=self.version, features=found
        )

    def _features(self, pool: Pool, tokens: int) -> Floats:
        vector = self.encoder.embed([pool.query])[0] if self.encoder else None
        return features(pool, tokens, vector)
