"""Many-shot induction: find the hidden function from input-output pairs, some of which may be wrong."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import JsonValue

from ctxeng_evals.case import Case, Item
from ctxeng_evals.generators.family import Family, guess, items_of, one_of, tags, within
from ctxeng_evals.generators.functions import LISTS, WORDS, Function, drawn_list, drawn_word

World = Literal["lists", "words"]
_SHOT = re.compile(r"Input: (.+) Output: (.+)")
_QUERY = re.compile(r"the input (.+), what")
_MANY = 16
_SUPPORT = 2  # a function that explains a single shot is no more than a coincidence


@dataclass(frozen=True)
class Induction(Family):
    """`shots` pairs of a hidden function, a share `wrong` (0 to 0.5, rounded down) of them false.

    The question gives a new input (MIR-Bench). A false shot shows the output of another input. The pairs are
    drawn until every function of the family that explains as many of them as the hidden one gives the same
    answer, so the answer is certain for who considers them all. Gold is the true shots.
    """

    world: World = "lists"
    shots: int = 16
    wrong: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("world", self.world, get_args(World))
        within("shots", self.shots, 4)
        within("wrong", self.wrong, 0, 0.5)

    @property
    def metric(self) -> str:
        """The exact output."""
        return "exact"

    def case(self, index: int) -> Case:
        """Asks for the output of one new input."""
        rng = self.draw(index)
        while (made := self._attempt(rng)) is None:
            pass
        question, target, texts, true = made
        items = items_of(texts)
        return Case(
            id=self.name(index),
            question=question,
            target=target,
            items=items,
            gold=tuple(items[place].id for place in true),
            tags={
                **tags(items, 2, 2 if self.shots >= _MANY else 1),
                "world": self.world,
                "shots": self.shots,
                "wrong": self.wrong,
            },
        )

    def read(self, case: Case, items: Sequence[Item]) -> JsonValue:
        """The output of the function that explains most shots, if it explains two at least."""
        found = [match for item in items if (match := _SHOT.fullmatch(item.text))]
        shots = [(self._value(match[1]), self._value(match[2])) for match in found]
        best, fewest = None, len(shots) - _SUPPORT + 1
        for function in self._functions.values():
            wrong = mismatches(function, shots, fewest - 1)
            if wrong < fewest:
                best, fewest = function, wrong
        asked = _QUERY.findall(case.question)[0]
        return guess(case) if best is None else _shown(best(self._value(asked)))

    @property
    def _functions(self) -> Mapping[str, Function]:
        return LISTS if self.world == "lists" else WORDS

    def _value(self, text: str) -> Any:
        return json.loads(text) if self.world == "lists" else text

    def _attempt(self, rng: random.Random) -> tuple[str, str, list[str], list[int]] | None:
        """Question, target, shots and the places of the true ones; None where they do not fix the answer."""
        fresh = drawn_list if self.world == "lists" else drawn_word
        hidden = self._functions[rng.choice(list(self._functions))]
        asked = fresh(rng)
        target = hidden(asked)
        question = (
            f"A hidden rule turns inputs into outputs. For the input {_shown(asked)}, what is the output?"
        )
        if _shown(target) in question:
            return None
        false = set(rng.sample(range(self.shots), int(self.wrong * self.shots)))
        shots = []
        for place in range(self.shots):
            given = fresh(rng)
            output = hidden(given)
            while place in false and output == hidden(given):
                output = hidden(fresh(rng))
            shots.append((given, output))
        for rival in self._functions.values():
            if rival(asked) != target and mismatches(rival, shots, len(false)) <= len(false):
                return None
        texts = [f"Input: {_shown(given)} Output: {_shown(output)}" for given, output in shots]
        return question, _shown(target), texts, [place for place in range(self.shots) if place not in false]


def mismatches(function: Function, shots: Sequence[tuple[Any, Any]], most: int) -> int:
    """How many shots the function does not explain; counting ends beyond `most`."""
    wrong = 0
    for given, output in shots:
        wrong += function(given) != output
        if wrong > most:
            break
    return wrong


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
