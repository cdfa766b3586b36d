"""Needle threading: follow a chain of keys through a haystack of pairs, or collect all keys of a kind."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import JsonValue

from ctxeng_evals.case import Case, Item
from ctxeng_evals.generators.family import Family, guess, items_of, listed, one_of, tags, within
from ctxeng_evals.generators.kv import pair, pairs_in
from ctxeng_evals.generators.words import hex_key

Kind = Literal["thread", "conditional"]
Direction = Literal["forward", "backward"]
_QUOTED = re.compile(r'"([0-9a-f-]+)"')


@dataclass(frozen=True)
class Threads(Family):
    """A chain of `steps` pairs, each value the next key, among `pairs` pairs (Needle Threading).

    `threads` other chains of the same length lie between them. Forward, a chain's steps stand in reading
    order; backward, in reverse, which the paper finds harder. Kind `conditional` asks instead for the values
    of all `steps` keys that begin with two given digits; no other key does.
    """

    kind: Kind = "thread"
    pairs: int = 100
    steps: int = 5
    threads: int = 3
    direction: Direction = "forward"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("kind", self.kind, get_args(Kind))
        one_of("direction", self.direction, get_args(Direction))
        within("steps", self.steps, 1)
        within("threads", self.threads, 0)
        within("pairs", self.pairs, self.steps * (1 + self.threads))

    @property
    def metric(self) -> str:
        """The last value of a chain, or the set of values of the keys of a kind."""
        return "exact" if self.kind == "thread" else "set_f1"

    def case(self, index: int) -> Case:
        """Asks for the end of one chain, or for the values under one condition."""
        rng = self.draw(index)
        return self._thread(rng, index) if self.kind == "thread" else self._conditional(rng, index)

    def read(self, case: Case, items: Sequence[Item]) -> JsonValue:
        """Follows the pairs from the question's key on, or collects what the condition holds for."""
        start: str = _QUOTED.findall(case.question)[0]
        if self.kind == "conditional":
            return listed([value for key, value in pairs_in(items) if key.startswith(start)]) or guess(case)
        following = dict(pairs_in(items))
        if start not in following:
            return guess(case)
        while start in following:
            start = following.pop(start)
        return start

    def _thread(self, rng: random.Random, index: int) -> Case:
        chains = [[hex_key(rng) for _ in range(self.steps + 1)] for _ in range(1 + self.threads)]
        places = rng.sample(range(self.pairs), self.steps * len(chains))
        texts = [pair(hex_key(rng), hex_key(rng)) for _ in range(self.pairs)]
        gold: list[int] = []
        for number, chain in enumerate(chains):
            own = places[number * self.steps : (number + 1) * self.steps]
            own.sort(reverse=self.direction == "backward")
            gold = gold or own
            for place, key, value in zip(own, chain[:-1], chain[1:], strict=True):
                texts[place] = pair(key, value)
        question = (
            f'Start at the key "{chains[0][0]}". Its value may be a key in turn: go on until a '
            "value is no key. Which value is that?"
        )
        return self._made(index, texts, gold, (question, chains[0][-1]))

    def _conditional(self, rng: random.Random, index: int) -> Case:
        head = f"{rng.randrange(256):02x}"
        keys = [hex_key(rng) for _ in range(self.pairs)]
        # another key that happens to begin so gets another first digit: the condition holds for none but gold
        other = f"{(int(head[0], 16) + 1) % 16:x}"
        keys = [other + key[1:] if key.startswith(head) else key for key in keys]
        places = rng.sample(range(self.pairs), self.steps)
        for place in places:
            keys[place] = head + keys[place][2:]
        values = [hex_key(rng) for _ in keys]
        texts = [pair(key, value) for key, value in zip(keys, values, strict=True)]
        question = f'List the values of all keys that begin with "{head}", separated by commas.'
        return self._made(index, texts, places, (question, listed([values[place] for place in places])))

    def _made(self, index: int, texts: list[str], gold: list[int], asked: tuple[str, str]) -> Case:
        items = items_of(texts)
        plain = {"kind": self.kind, "steps": self.steps}
        more = {"threads": self.threads, "direction": self.direction} if self.kind == "thread" else {}
        return Case(
            id=self.name(index),
            question=asked[0],
            target=asked[1],
            items=items,
            gold=tuple(items[place].id for place in gold),
            tags={**tags(items, 2 if more else 1, 1), **plain, **more},
        )
