"""Aggregation: counts over all items, where every item holds a little of the evidence."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import JsonValue

from ctxeng_evals.case import Case, Item
from ctxeng_evals.generators.family import Family, guess, items_of, listed, one_of, tags, within
from ctxeng_evals.generators.words import PEOPLE, SITES, split

Kind = Literal["count", "top"]
_EVENTS = split("blackout breakdown complaint delay fire flood leak refund repair robbery strike theft")
_EVENT = re.compile(r"At the \w+ \w+ reported a (\w+)\.")


@dataclass(frozen=True)
class Aggregation(Family):
    """A log of `items` events in `categories` categories: count one, or name the `top` most common ones.

    After RULER's frequent words extraction. The `top` categories are strictly more common than all others,
    so that the answer is one set.
    """

    kind: Kind = "count"
    items: int = 100
    categories: int = 8
    top: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("kind", self.kind, get_args(Kind))
        within("categories", self.categories, 2, len(_EVENTS))
        within("top", self.top, 1, self.categories - 1)
        within("items", self.items, self.categories)

    @property
    def metric(self) -> str:
        """A number for a count, a set for the most common."""
        return "numeric" if self.kind == "count" else "set_f1"

    def case(self, index: int) -> Case:
        """Asks for the count of one category, or for the most common ones."""
        rng = self.draw(index)
        names = rng.sample(_EVENTS, self.categories)
        counts = self._counts(rng)
        events = [name for name, times in zip(names, counts, strict=True) for _ in range(times)]
        rng.shuffle(events)
        items = items_of(
            [f"At the {rng.choice(SITES)} {rng.choice(PEOPLE)} reported a {event}." for event in events]
        )
        if self.kind == "count":
            asked = [rng.choice([name for name, times in zip(names, counts, strict=True) if times])]
            question = f"How many times was a {asked[0]} reported?"
        else:
            asked = names[: self.top]
            question = f"Name the {self.top} kinds of event reported most often, separated by commas."
        return Case(
            id=self.name(index),
            question=question,
            target=events.count(asked[0]) if self.kind == "count" else listed(asked),
            items=items,
            gold=tuple(item.id for item, event in zip(items, events, strict=True) if event in asked),
            tags={**tags(items, 0 if self.kind == "count" else 1, 2), "kind": self.kind},
        )

    def read(self, case: Case, items: Sequence[Item]) -> JsonValue:
        """Counts what the items report."""
        seen = Counter(match[1] for item in items if (match := _EVENT.fullmatch(item.text)))
        if self.kind == "top":
            return listed([name for name, _ in seen.most_common(self.top)]) or guess(case)
        asked = re.findall(r"was a (\w+) reported", case.question)[0]
        return seen[asked] or guess(case)

    def _counts(self, rng: random.Random) -> list[int]:
        most = self.items // self.categories - 1  # what the others may have at most
        others = [rng.randint(most // 2, most) for _ in range(self.categories - self.top)]
        counts = [most + 1] * self.top + others
        for winner in rng.choices(range(self.top), k=self.items - sum(counts)):
            counts[winner] += 1
        return counts
