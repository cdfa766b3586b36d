"""Worlds with hidden rules: a task can be solved only with the rule in force, and rules change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydantic import JsonValue

from ctxeng_evals.case import Case, Item
from ctxeng_evals.generators.family import Family, guess, tags, within

_REGIONS = ("North", "South", "East", "West", "Harbour", "Highland", "Island", "Border")
_GOODS = ("fragile", "frozen", "bulky", "urgent", "returned", "valuable", "perishable", "bonded")
_DOCKS = ("Amber", "Basalt", "Cobalt", "Denim", "Ebony", "Flint", "Garnet", "Hazel")
_RULE = re.compile(r"Revision (\d+), region (\w+): (\w+) goods leave by dock (\w+)\.")
_TASK = re.compile(r"A consignment of (\w+) goods is ready in region (\w+)")


@dataclass(frozen=True)
class Rules(Family):
    """Goods to send off by one of `docks` (3 to 8) docks; which one, only a rule of an entry can tell.

    There are `regions` x `goods` (1 to 8 each) rules; after every `every` cases all of them change, and the
    `stale` last revisions stay among the entries. A superseded rule differs from the one that came after it,
    so following the second newest is always wrong; a rule for another region is right by accident only. Rules
    belong to the seed, not to the case: entries keep their ids (region, goods, revision), and what was
    learned from earlier cases of an epoch holds until the next change (tag `epoch`).
    """

    every: int = 25
    stale: int = 2
    regions: int = 3
    goods: int = 4
    docks: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        within("every", self.every, 1)
        within("stale", self.stale, 0)
        within("regions", self.regions, 1, len(_REGIONS))
        within("goods", self.goods, 1, len(_GOODS))
        within("docks", self.docks, 3, len(_DOCKS))

    @property
    def metric(self) -> str:
        """The dock."""
        return "exact"

    def case(self, index: int) -> Case:
        """Asks for the dock of one consignment."""
        rng = self.draw("case", index)
        epoch = index // self.every
        region, goods = rng.choice(_REGIONS[: self.regions]), rng.choice(_GOODS[: self.goods])
        items = [
            self._entry(place, kind, revision)
            for place in _REGIONS[: self.regions]
            for kind in _GOODS[: self.goods]
            for revision in range(max(0, epoch - self.stale), epoch + 1)
        ]
        rng.shuffle(items)
        return Case(
            id=self.name(index),
            question=(
                f"A consignment of {goods} goods is ready in region {region}. By which dock does it leave? "
                "The highest revision of a region's rule is in force."
            ),
            target=self._dock(region, goods, epoch),
            choices=_DOCKS[: self.docks],
            items=tuple(items),
            gold=(_id(region, goods, epoch),),
            tags={**tags(items, 2 if epoch and self.stale else 1, 0), "epoch": epoch},
        )

    def read(self, case: Case, items: Sequence[Item]) -> JsonValue:
        """The dock of the newest of these rules for the region and the goods."""
        goods, region = _TASK.findall(case.question)[0]
        rules = [match.groups() for item in items if (match := _RULE.fullmatch(item.text))]
        fitting = [
            (int(number), dock) for number, place, kind, dock in rules if (kind, place) == (goods, region)
        ]
        return max(fitting)[1] if fitting else guess(case)

    def _entry(self, region: str, goods: str, revision: int) -> Item:
        dock = self._dock(region, goods, revision)
        text = f"Revision {revision + 1}, region {region}: {goods} goods leave by dock {dock}."
        return Item(id=_id(region, goods, revision), text=text, source=region, kind="entry")

    def _dock(self, region: str, goods: str, revision: int) -> str:
        """The dock of a revision: one permutation of the docks after another, no dock twice in a row."""
        block, place = divmod(revision, self.docks)
        first, second, *rest = _order(self, region, goods, block)
        if block and first == _order(self, region, goods, block - 1)[-1]:
            first, second = second, first
        return (first, second, *rest)[place]


@lru_cache(maxsize=10_000)
def _order(world: Rules, region: str, goods: str, block: int) -> tuple[str, ...]:
    docks = _DOCKS[: world.docks]
    return tuple(world.draw("rule", region, goods, block).sample(docks, len(docks)))


def _id(region: str, goods: str, revision: int) -> str:
    return f"{region}-{goods}-{revision + 1}".lower()
