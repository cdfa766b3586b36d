"""Dialogue memory: what a user said about themselves over several sessions, changed and contradicted."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pydantic import JsonValue

from ctxeng_evals.case import Case, Item
from ctxeng_evals.generators.dialogue_words import CHANGING, FIXED, REPLIES, other, statement
from ctxeng_evals.generators.family import Family, guess, one_of, tags, within
from ctxeng_evals.generators.words import filler

Ask = Literal["current", "previous", "contradiction", "unknown", "mixed"]
UNKNOWN = "unknown"
_ASKS = ("current", "previous", "contradiction", "unknown")
_AXES = {"current": (1, 0), "previous": (1, 1), "contradiction": (2, 1), "unknown": (2, 2)}
_QUESTIONS = {
    "current": "What is the user's {} now?",
    "previous": "What was the user's {} before the present one?",
    "contradiction": "Has the user contradicted themselves about their {}?",
    "unknown": "What is the user's {} now?",
}
_SAID = re.compile(r"Day (\d+), (\d\d):(\d\d)\. .*?[Mm]y ([a-z ]+?) is (?:now )?([A-Z]\w+)\.")
_NOUN = re.compile(r"(?:user's|about their) ([a-z ]+?)(?: now| before the present one)?\?")
_MOST_SAID = 3
_OPTIONS = 4


@dataclass(frozen=True)
class Dialogue(Family):
    """`sessions` sessions of `turns` messages: a user states `facts` facts, updates and contradicts them.

    Asks for the current value of a fact, the previous one, whether there is a contradiction (yes or no), or
    for something never said, where the choice "unknown" is right (abilities after LongMemEval). Gold is the
    messages needed: the last statement, the last two, all of them, none. Assistant turns and remarks about
    other people are distraction. The text of a message begins with its day and time, which restore the order.
    """

    ask: Ask = "mixed"
    sessions: int = 6
    turns: int = 12
    facts: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("ask", self.ask, get_args(Ask))
        within("sessions", self.sessions, _MOST_SAID)
        within("facts", self.facts, 1, len(CHANGING) + len(FIXED) - 1)
        within("turns", self.turns, 2 * self.facts)

    @property
    def metric(self) -> str:
        """The choice."""
        return "exact"

    def case(self, index: int) -> Case:
        """Asks one question about one fact."""
        rng = self.draw(index)
        ask = _ASKS[index % len(_ASKS)] if self.ask == "mixed" else self.ask
        noun, *others = _nouns(rng, ask, self.facts)
        told = {name: _history(rng, name) for name in others}
        if ask != "unknown":
            told[noun] = _history(rng, noun, least=2)
        items, places = self._messages(rng, told)
        said = told.get(noun, [])
        target, needed = _answer(ask, said)
        known = FIXED.get(noun) or CHANGING[noun]
        options = list(dict.fromkeys((*said, *rng.sample(known, len(known)))))[:_OPTIONS]
        choices = ["yes", "no"] if ask == "contradiction" else [*options, UNKNOWN]
        rng.shuffle(choices)
        return Case(
            id=self.name(index),
            question=_QUESTIONS[ask].format(noun),
            target=target,
            choices=tuple(choices),
            items=items,
            gold=tuple(places[noun][-needed:]) if needed else (),
            tags={**tags(items, *_AXES[ask]), "ask": ask, "sessions": self.sessions},
        )

    def read(self, case: Case, items: Sequence[Item]) -> JsonValue:
        """What the statements among these messages say, taken in the order of their days and times."""
        noun = _NOUN.findall(case.question)[0]
        found = [match.groups() for item in items if (match := _SAID.fullmatch(item.text))]
        found.sort(key=lambda parts: tuple(map(int, parts[:3])))
        said = [value for *_, name, value in found if name == noun]
        if "contradicted" in case.question:
            return ("yes" if len(set(said)) > 1 else "no") if said else guess(case)
        if not items:
            return guess(case)
        place = 2 if "before" in case.question else 1
        return said[-place] if len(said) >= place else UNKNOWN

    def _messages(
        self, rng: random.Random, told: dict[str, list[str]]
    ) -> tuple[tuple[Item, ...], dict[str, list[str]]]:
        """All messages in reading order, and the ids of those that state each fact."""
        said: dict[tuple[int, int], str] = {}
        places: dict[str, list[str]] = {noun: [] for noun in told}
        for noun, values in told.items():
            for count, session in enumerate(sorted(rng.sample(range(self.sessions), len(values)))):
                turn = rng.choice([at for at in range(0, self.turns - 1, 2) if (session, at) not in said])
                said[session, turn] = statement(rng, noun, values[count], update=count > 0)
                places[noun].append(f"m{session}-{turn}")
        items = []
        for session in range(self.sessions):
            for turn, idle in enumerate(filler(rng, self.turns)):
                user = turn % 2 == 0
                talk = (
                    (other(rng) if rng.random() < 1 / 3 else idle)
                    if user
                    else f"{rng.choice(REPLIES)} {idle}"
                )
                clock = f"Day {10 + 7 * session}, {9 + turn // 60:02d}:{turn % 60:02d}."
                items.append(
                    Item(
                        id=f"m{session}-{turn}",
                        text=f"{clock} {said.get((session, turn), talk)}",
                        source=f"session-{session}",
                        kind="message",
                        role="user" if user else "assistant",
                    )
                )
        return tuple(items), places


def _nouns(rng: random.Random, ask: str, facts: int) -> list[str]:
    """The fact that is asked for, and the others that are talked about."""
    asked = rng.choice(list(FIXED if ask == "contradiction" else CHANGING))
    others = [noun for noun in (*CHANGING, *FIXED) if noun != asked]
    return [asked, *rng.sample(others, facts if ask == "unknown" else facts - 1)]


def _history(rng: random.Random, noun: str, least: int = 1) -> list[str]:
    """The values stated one after another: a fixed fact may be stated twice, alike or in contradiction."""
    if noun in CHANGING:
        return rng.sample(CHANGING[noun], rng.randint(least, _MOST_SAID))
    values = rng.sample(FIXED[noun], 2)
    return [values[0], rng.choice(values)][: rng.randint(least, 2)]


def _answer(ask: str, said: list[str]) -> tuple[str, int]:
    """The answer, and how many of the last statements it rests on."""
    if ask == "contradiction":
        return ("yes" if len(set(said)) > 1 else "no"), len(said)
    if ask == "unknown":
        return UNKNOWN, 0
    return (said[-1], 1) if ask == "current" else (said[-2], 2)
