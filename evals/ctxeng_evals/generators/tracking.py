"""Variable tracking: chains of assignments, scattered in prose."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from pydantic import JsonValue

from ctxeng_evals.case import Case, Item
from ctxeng_evals.generators.family import Family, guess, items_of, listed, planted, tags, within
from ctxeng_evals.generators.words import filler

_SET = re.compile(r"Set ([A-Z]{5}) to (\w+)\.")
_VALUE = re.compile(r"\d{5}")


@dataclass(frozen=True)
class Tracking(Family):
    """One chain of `hops` copies of a value, `chains` other chains of that length, `items` filler sentences.

    The answer is the set of the hops + 1 names that hold the value (RULER's variable tracking). No name is
    set twice, so the order of the assignments does not matter.
    """

    items: int = 100
    hops: int = 4
    chains: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        within("items", self.items, 0)
        within("hops", self.hops, 1)
        within("chains", self.chains, 0)

    @property
    def metric(self) -> str:
        """The set of names."""
        return "set_f1"

    def case(self, index: int) -> Case:
        """Asks for the names that hold the value at the head of the first chain."""
        rng = self.draw(index)
        values = [str(number) for number in rng.sample(range(10_000, 100_000), self.chains + 1)]
        length = self.hops + 1
        names = _names(rng, length * len(values))
        chains = [names[start : start + length] for start in range(0, len(names), length)]
        steps = [
            f"Set {name} to {before}."
            for value, chain in zip(values, chains, strict=True)
            for before, name in zip([value, *chain[:-1]], chain, strict=True)
        ]
        texts, places = planted(rng, filler(rng, self.items), steps)
        items = items_of(texts)
        return Case(
            id=self.name(index),
            question=f"Which names hold the value {values[0]} in the end? List all, separated by commas.",
            target=listed(chains[0]),
            items=items,
            gold=tuple(items[place].id for place in places[:length]),
            tags={**tags(items, 2, 1), "hops": self.hops, "chains": self.chains},
        )

    def read(self, case: Case, items: Sequence[Item]) -> JsonValue:
        """Every name that can be reached from the value by assignments in these items."""
        after: dict[str, list[str]] = {}
        for item in items:
            if step := _SET.fullmatch(item.text):
                after.setdefault(step[2], []).append(step[1])
        reached: list[str] = []
        ahead = _VALUE.findall(case.question)
        while ahead:
            copies = after.get(ahead.pop(), [])
            reached += copies
            ahead += copies
        return listed(sorted(reached)) or guess(case)


def _names(rng: random.Random, count: int) -> list[str]:
    chosen: dict[str, None] = {}
    while len(chosen) < count:
        chosen["".join(rng.choices(ascii_uppercase, k=5))] = None
    return list(chosen)
