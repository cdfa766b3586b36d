"""How likely each unit is evidence for the question: by words and meaning, through links, or learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from pydantic import ValidationError

from ctxeng.chunks.rank.features import features, guess, links
from ctxeng.chunks.rank.forest import Forest
from ctxeng.chunks.rank.view import Floats, View, relative
from ctxeng.errors import BadInput
from ctxeng.message import Value

SHIPPED = Path(__file__).with_name("reranker.json")
NAMES_NEEDED = 0.12  # a word: hardly a question over an encyclopedia has fewer (docs/reranker.md)


class Ranker(Protocol):
    """Something that says how relevant units are."""

    def rank(self, view: View) -> Floats:
        """(N,) between 0 and 1, higher is better."""
        ...


@runtime_checkable
class Noted(Protocol):
    """A ranker that can say what a reader of its relevance should know."""

    def note(self, view: View) -> str:
        """In words; "" where there is nothing to say."""
        ...


@dataclass(frozen=True)
class HybridRanker:
    """The normalised sum of BM25 and cosine; `weight` is what meaning counts against words."""

    weight: float = 1.0

    def rank(self, view: View) -> Floats:
        """(N,); BM25 alone where there are no vectors."""
        words = relative(view.bm25)
        if view.cosine is None:
            return words
        return (words + self.weight * relative(view.cosine)) / (1.0 + self.weight)


@dataclass(frozen=True)
class BridgingRanker:
    """Words and meaning of a unit and its paragraph, and what links lead to it. Nothing is trained.

    A unit gains where a believed unit names its title or shares a rare name with it, and, less, where it
    names a believed group itself. Weights are first guesses from the prototypes' rows, tuned on nothing
    but HotpotQA's first half.
    """

    paragraph: float = 0.5
    named: float = 0.5
    shared: float = 0.2
    names_out: float = 0.25
    said: float = 0.2
    lead: float = 0.1

    def rank(self, view: View) -> Floats:
        """(N,) relative to the best."""
        if not view.texts:
            return np.zeros(0)
        known = links(view)
        base = guess(view)
        total = (
            base
            + self.paragraph * known["belief_group"]
            + self.named * known["named_by"]
            + self.shared * np.minimum(known["shared"], 1.0)
            + self.names_out * known["names_out"]
            + self.said * view.asked_for[view.groups]
            + self.lead / (1.0 + features(view)["place"])
        )
        return relative(total)


class Model(Value):
    """A trained re-ranker as its file holds it. `about` says what it was trained on, and how."""

    version: Literal[1] = 1
    about: str = ""
    data: Mapping[str, str] = {}  # data set -> licence and size
    first: Forest  # from `names`
    second: Forest  # from `names` and, behind them, `linked` recomputed with what the first says
    names: tuple[str, ...]
    linked: tuple[str, ...]


@dataclass(frozen=True)
class LearnedRanker:
    """Two small forests of boosted trees: the second sees the links again, weighed by what the first says.

    `path` None is the one that ships with the package (training script, data and transfer table:
    docs/reranker.md). Vectors and titles may be missing. Probabilities are calibrated for questions whose
    evidence is a few of some dozens of sentences. Raises BadInput for a file that is no such model.

    It lives on names that lead from one text to another. Where the candidates have fewer than
    `names_needed` a word (meetings, tables) it steps back, and relevance is the hybrid score; with 0 it
    never does.
    """

    path: Path | None = None
    names_needed: float = NAMES_NEEDED

    def rank(self, view: View) -> Floats:
        """(N,) probabilities; where it steps back, hybrid scores, 0 to 1."""
        if not view.texts:
            return np.zeros(0)
        if self.steps_back(view):
            return HybridRanker().rank(view)
        model = read_model(self.path or SHIPPED)
        rows = stack({**features(view), **links(view)}, model.names)
        belief = model.first.probability(rows)
        again = stack(links(view, belief), model.linked)
        return model.second.probability(np.concatenate([rows, again], axis=1))

    def steps_back(self, view: View) -> bool:
        """Whether there are too few names here for what was learned to hold."""
        return bool(view.texts) and view.name_density < self.names_needed

    def note(self, view: View) -> str:
        """That it stepped back, and why."""
        if not self.steps_back(view):
            return ""
        return (
            f"ranked by words and meaning, not as learned: {view.name_density:.3f} names a word, "
            f"{self.names_needed:g} needed"
        )


def stack(columns: Mapping[str, Floats], names: tuple[str, ...]) -> Floats:
    """(N, F) in the order of the names. Raises BadInput for one that is unknown."""
    missing = [name for name in names if name not in columns]
    if missing:
        raise BadInput(f"the re-ranker asks for features this version does not have: {', '.join(missing)}")
    return np.stack([columns[name] for name in names], axis=1)


@lru_cache(maxsize=8)
def read_model(path: Path) -> Model:
    """The model in a file, read once. Raises BadInput."""
    try:
        return Model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path}: the re-ranker cannot be read: {error}") from error
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise BadInput(f"{path}: no re-ranker of ours: {where}: {fault['msg']}") from error
