"""Shared contexts: several questions over the same items, in one session or in separate requests."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import JsonValue

from ctxeng_evals.case import Case, Item
from ctxeng_evals.generators.family import Family, guess, items_of, one_of, tags, within
from ctxeng_evals.generators.words import HOBBIES, LAST_NAMES, PEOPLE, TOWNS, TRADES, hex_key

Mode = Literal["multi-turn", "multi-request"]
Capability = Literal["string", "semantic", "global", "multi"]
# a locker and its parcel; or trade, hobby and town of a person
Fact = tuple[str, ...]

_SINGLE = ("string", "semantic", "global")
_AXES = {"string": (0, 0), "semantic": (2, 0), "global": (1, 2)}
_PERSON = re.compile(r"\w+ \w+ (\w+ \w+) and (\w+ \w+), and lives in (\w+)\.")
_LOCKER = re.compile(r"Locker ([0-9a-f-]{36}) holds parcel ([0-9a-f-]{36})\.")
_ASKED_LOCKER = re.compile(r"locker ([0-9a-f-]{36})")
_ASKED_PERSON = re.compile(r"does the ([\w ]+) who is also a ([\w ]+) live")
_ASKED_TOWN = re.compile(r"live in (\w+)")
_PERSON_PARTS = 3
_MOST_PEOPLE = len(TRADES) * len(HOBBIES)


@dataclass(frozen=True)
class Sessions(Family):
    """Contexts of `items` sentences, each asked about `turns` times (SCBench).

    In mode `multi-turn` the questions of one context are the turns of one session (one group); in
    `multi-request` each is a new request and its own group, and the items' `source` says which share theirs.
    Capabilities: `string` looks up a random key, `semantic` a person described in other words, `global`
    counts over the whole context, `multi` takes turns. The tag `stage` names the stage of the cache's life on
    which a report should book the score (our reading of the paper): `generation` for the first question of a
    context, afterwards `compression` where the answer needs all of the context, else `retrieval` within a
    session and `loading` for a new request.
    """

    mode: Mode = "multi-turn"
    capability: Capability = "string"
    items: int = 200
    turns: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("mode", self.mode, get_args(Mode))
        one_of("capability", self.capability, get_args(Capability))
        within("turns", self.turns, 1)
        within("items", self.items, 2)

    @property
    def metric(self) -> str:
        """One string: a key, a town or a count."""
        return "exact"

    def case(self, index: int) -> Case:
        """Asks the question of this turn about its context."""
        context, turn = divmod(index, self.turns)
        rng = self.draw(context)
        facts = _facts(rng, self.items)
        shared = f"{type(self).__name__.lower()}-{self.seed}-context-{context}"
        items = items_of([_sentence(rng, fact) for fact in facts], source=shared)
        capability = _SINGLE[turn % len(_SINGLE)] if self.capability == "multi" else self.capability
        question, target, gold = _asked(rng, facts, capability, turn)
        session = self.mode == "multi-turn"
        return Case(
            id=self.name(index),
            question=question,
            target=target,
            items=items,
            gold=tuple(items[place].id for place in gold),
            group=shared if session else self.name(index),
            turn=turn if session else 0,
            tags={
                **tags(items, *_AXES[capability]),
                "mode": self.mode,
                "capability": capability,
                "turn": turn,
                "stage": _stage(capability, turn, session=session),
            },
        )

    def read(self, case: Case, items: Sequence[Item]) -> JsonValue:
        """Looks up the locker, finds the person by what they do, or counts who lives in the town."""
        found = [match.groups() for item in items if (match := _PERSON.fullmatch(item.text))]
        if asked := _ASKED_LOCKER.search(case.question):
            pairs = [match for item in items if (match := _LOCKER.fullmatch(item.text))]
            lockers = {match[1]: match[2] for match in pairs}
            return lockers.get(asked[1]) or guess(case)
        if asked := _ASKED_PERSON.search(case.question):
            towns = {(TRADES[trade], HOBBIES[hobby]): town for trade, hobby, town in found}
            return towns.get((asked[1], asked[2])) or guess(case)
        wanted = _ASKED_TOWN.findall(case.question)[0]
        living = sum(town == wanted for _, _, town in found)
        return str(living) if living else guess(case)


def _facts(rng: random.Random, count: int) -> list[Fact]:
    """Half of them people, each pair of trade and hobby once, the rest lockers; in random order."""
    people = min(count // 2, _MOST_PEOPLE)
    trades, hobbies = list(TRADES), list(HOBBIES)
    facts: list[Fact] = [
        (trades[number % len(trades)], hobbies[number // len(trades)], rng.choice(TOWNS))
        for number in rng.sample(range(_MOST_PEOPLE), people)
    ]
    facts += [(hex_key(rng), hex_key(rng)) for _ in range(count - people)]
    rng.shuffle(facts)
    return facts


def _sentence(rng: random.Random, fact: Fact) -> str:
    if len(fact) == _PERSON_PARTS:
        return (
            f"{rng.choice(PEOPLE)} {rng.choice(LAST_NAMES)} {fact[0]} and {fact[1]}, and lives in {fact[2]}."
        )
    return f"Locker {fact[0]} holds parcel {fact[1]}."


def _asked(
    rng: random.Random, facts: Sequence[Fact], capability: str, turn: int
) -> tuple[str, str, list[int]]:
    """Question, target and the places of the evidence; turns ask about other things while there are any."""
    people = [place for place, fact in enumerate(facts) if len(fact) == _PERSON_PARTS]
    if capability == "global":
        towns = list(dict.fromkeys(facts[place][-1] for place in people))
        town = rng.sample(towns, len(towns))[turn % len(towns)]
        living = [place for place in people if facts[place][-1] == town]
        return f"How many people live in {town}?", str(len(living)), living
    known = set(people)
    able = people if capability == "semantic" else [at for at in range(len(facts)) if at not in known]
    place = rng.sample(able, len(able))[turn % len(able)]
    fact = facts[place]
    if capability == "string":
        return f"Which parcel is in locker {fact[0]}?", fact[1], [place]
    question = f"In which town does the {TRADES[fact[0]]} who is also a {HOBBIES[fact[1]]} live?"
    return question, fact[-1], [place]


def _stage(capability: str, turn: int, *, session: bool) -> str:
    if turn == 0:
        return "generation"
    if capability == "global":
        return "compression"
    return "retrieval" if session else "loading"
