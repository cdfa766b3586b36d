"""Needles in a haystack: one fact or several, hidden in prose that states nothing."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import JsonValue

from ctxeng_evals.case import Case, Item
from ctxeng_evals.generators.family import Family, guess, items_of, listed, one_of, planted, tags, within
from ctxeng_evals.generators.words import filler, sites

Kind = Literal["single", "multi-key", "multi-value", "multi-query"]
# attribute, building, value
Fact = tuple[str, str, str]

_ATTRIBUTES = ("access code", "badge number", "meter reading", "order number", "phone extension")
_FACT = re.compile(r"The ([a-z ]+) of the ([A-Z]\w+ \w+) is (\d{5})\.")
_PLACE = re.compile(r"the ([A-Z]\w+ [a-z]+)")
_MOST_NEEDLES = 400
_WEIGHT = {"single": (0, 0), "multi-key": (1, 0), "multi-value": (1, 1), "multi-query": (1, 1)}


@dataclass(frozen=True)
class Needles(Family):
    """Five-digit facts among `items` filler sentences, in RULER's four kinds.

    `single`: one fact, asked for; `multi-key`: `needles` facts, one asked for, another one about a second
    matter of that building; `multi-value`: one building with `needles` values, all asked for;
    `multi-query`: `needles` (2 to 400) buildings, all asked for. `depth` (0 to 1) is where the asked facts
    stand, None: anywhere.
    """

    kind: Kind = "single"
    items: int = 100
    needles: int = 4
    depth: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("kind", self.kind, get_args(Kind))
        within("items", self.items, 0)
        within("needles", self.needles, 2, _MOST_NEEDLES)
        if self.depth is not None:
            within("depth", self.depth, 0, 1)

    @property
    def metric(self) -> str:
        """A set for the kinds that ask for several values, the one value for the others."""
        return "set_f1" if self.kind in ("multi-value", "multi-query") else "exact"

    def case(self, index: int) -> Case:
        """Asks for what the kind says about buildings drawn for this case."""
        rng = self.draw(index)
        asked, others = self._facts(rng)
        hay, _ = planted(rng, filler(rng, self.items), [_sentence(fact) for fact in others])
        texts, places = planted(rng, hay, [_sentence(fact) for fact in asked], self.depth)
        attribute = asked[0][0]
        items = items_of(texts)
        names = " and ".join(f"the {place}" for place in dict.fromkeys(place for _, place, _ in asked))
        one = f"What is the {attribute} of {names}?"
        several = f"List every {attribute} of {names}, separated by commas."
        where = {} if self.depth is None else {"depth": self.depth}
        return Case(
            id=self.name(index),
            question=several if self.metric == "set_f1" else one,
            target=listed([value for *_, value in asked]),
            items=items,
            gold=tuple(items[place].id for place in places),
            tags={**tags(items, *_WEIGHT[self.kind]), "kind": self.kind, **where},
        )

    def read(self, case: Case, items: Sequence[Item]) -> JsonValue:
        """The values that the items state for the buildings and the attribute of the question."""
        wanted = set(_PLACE.findall(case.question))
        found = [match.groups() for item in items if (match := _FACT.fullmatch(item.text))]
        values = [value for name, place, value in found if place in wanted and name in case.question]
        return listed(values) or guess(case)

    def _facts(self, rng: random.Random) -> tuple[list[Fact], list[Fact]]:
        """The facts asked for, and those that lead astray."""
        attribute, second = rng.sample(_ATTRIBUTES, 2)
        places = sites(rng, self.needles)
        values = [str(number) for number in rng.sample(range(10_000, 100_000), self.needles)]
        if self.kind == "multi-value":
            return [(attribute, places[0], value) for value in values], []
        facts = [(attribute, place, value) for place, value in zip(places, values, strict=True)]
        if self.kind == "multi-query":
            return facts, []
        others = [(second, places[0], values[1]), *facts[2:]]
        return facts[:1], others if self.kind == "multi-key" else []


def _sentence(fact: Fact) -> str:
    return "The {} of the {} is {}.".format(*fact)
