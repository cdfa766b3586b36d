"""What all families share: numbered cases of a seed, the guess, tags, and the planting of evidence."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue, TypeAdapter

from ctxeng_evals.case import Case, Item, ItemKind, Made

Tags = dict[str, str | int | float]
_ITEMS = TypeAdapter(tuple[Item, ...])


@dataclass(frozen=True)
class Family(ABC):
    """A generator of `count` cases; a case follows from its index and the parameters other than `count`."""

    count: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        within("count", self.count, 1)

    @property
    @abstractmethod
    def metric(self) -> str:
        """The metric its answers are scored with: exact, set_f1 or numeric."""

    @abstractmethod
    def case(self, index: int) -> Case:
        """The case of this index."""

    @abstractmethod
    def read(self, case: Case, items: Sequence[Item]) -> JsonValue:
        """The answer that follows from the question and these items; without evidence a guess or ""."""

    def cases(self) -> Made:
        """Its cases, each made when it is asked for."""
        return Made(self.count, self.case)

    def chance(self, case: Case) -> float:
        """The expected score of an answer given without any item: one of the choices, or 0 where none are."""
        return 1 / len(case.choices) if case.choices else 0.0

    def name(self, index: int) -> str:
        """The id of the case of this index."""
        return f"{type(self).__name__.lower()}-{self.seed}-{index}"

    def draw(self, *parts: str | int) -> random.Random:
        """Random numbers of this family, seed and parts; other parts give independent ones."""
        return random.Random("/".join(map(str, (type(self).__name__, self.seed, *parts))))  # noqa: S311


def guess(case: Case) -> str:
    """One of the choices, the same each time for the same case; "" where the case has none."""
    return random.Random(case.id).choice(case.choices) if case.choices else ""  # noqa: S311


def listed(names: Sequence[str]) -> str:
    """A set as an answer: its members, separated by commas."""
    return ", ".join(names)


def tags(items: Sequence[Item], diffusion: int, scope: int) -> Tags:
    """How hard the evidence is to find and how much of it there is (0 to 2 each), and the length of it all.

    The two axes are those of "Is It Really Long Context if All You Need Is Retrieval?"; length is given in
    items and in characters, because tokens depend on the tokenizer.
    """
    characters = sum(len(item.body) for item in items)
    return {"diffusion": diffusion, "scope": scope, "items": len(items), "characters": characters}


def items_of(texts: Sequence[str], source: str = "", kind: ItemKind = "chunk") -> tuple[Item, ...]:
    """Items s0, s1, ... of these texts, in this order."""
    rows = [
        {"id": f"s{place}", "text": text, "source": source, "kind": kind} for place, text in enumerate(texts)
    ]
    return _ITEMS.validate_python(rows)


def planted(
    rng: random.Random, hay: Sequence[str], needles: Sequence[str], depth: float | None = None
) -> tuple[list[str], list[int]]:
    """The hay with needles in it, and the place of each needle.

    With a `depth` (0 the beginning, 1 the end) they stand there together, without one each stands anywhere.
    """
    if depth is not None:
        start = round(depth * len(hay))
        return [*hay[:start], *needles, *hay[start:]], list(range(start, start + len(needles)))
    places = rng.sample(range(len(hay) + len(needles)), len(needles))
    at = dict(zip(places, needles, strict=True))
    rest = iter(hay)
    return [at[place] if place in at else next(rest) for place in range(len(hay) + len(needles))], places


def within(name: str, value: float, low: float, high: float = float("inf")) -> None:
    """Raises ValueError where a parameter lies outside its range (both ends belong to it)."""
    if not low <= value <= high:
        bounds = f"at least {low}" if high == float("inf") else f"from {low} to {high}"
        raise ValueError(f"{name} has to be {bounds}, not {value}")


def one_of(name: str, value: str, known: Sequence[str]) -> None:
    """Raises ValueError where a parameter is none of the known ones."""
    if value not in known:
        raise ValueError(f"{name} has to be one of {', '.join(known)}, not {value!r}")
