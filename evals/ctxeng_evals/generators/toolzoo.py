"""A zoo of tools: servers offer near-duplicates, and a task in other words needs one to three of them."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from ctxeng_evals.case import Case, Item
from ctxeng_evals.generators.family import Family, guess, listed, tags, within
from ctxeng_evals.generators.tool_words import NOUNS, SERVERS, VERBS

# places in SERVERS, VERBS and NOUNS
Spot = tuple[int, int, int]
_PER_SERVER = len(VERBS) * len(NOUNS)
_BEFORE, _BETWEEN = "Please ", "; then "


@dataclass(frozen=True)
class ToolZoo(Family):
    """Queries that need `needed` (1 to 3) of `tools` function tools on `servers` (1 to 8) servers.

    A tool is a verb, a noun and the server's domain; beside each needed one stand, as far as `tools` allows,
    three that differ from it in one of these. The query words all three otherwise than the schema, so that
    words in common are no help. An item's `shown` is the schema in OpenAI's format, its `source` the server,
    its id the tool's name; the answer is the set of names.
    """

    tools: int = 60
    servers: int = 6
    needed: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        within("servers", self.servers, 1, len(SERVERS))
        within("needed", self.needed, 1, 3)
        within("tools", self.tools, self.needed, self.servers * _PER_SERVER)

    @property
    def metric(self) -> str:
        """The set of names."""
        return "set_f1"

    def case(self, index: int) -> Case:
        """Asks for a task of so many steps, each one tool's."""
        rng = self.draw(index)
        spots = [self._spot(number) for number in rng.sample(range(self.servers * _PER_SERVER), self.tools)]
        needed = spots[: self.needed]
        near = [sibling for spot in needed for sibling in self._siblings(rng, spot)]
        chosen = list(dict.fromkeys((*needed, *near, *spots)))[: self.tools]
        rng.shuffle(chosen)
        items = tuple(_tool(spot) for spot in chosen)
        names = [_name(spot) for spot in needed]
        return Case(
            id=self.name(index),
            question=f"{_BEFORE}{_BETWEEN.join(_query(spot) for spot in needed)}.",
            target=listed(names),
            items=items,
            gold=tuple(names),
            tags={**tags(items, 2, self.needed - 1), "servers": self.servers, "needed": self.needed},
        )

    def read(self, case: Case, items: Sequence[Item]) -> JsonValue:
        """Translates each step of the query into a description and names the tools that have it."""
        steps = case.question.removeprefix(_BEFORE).rstrip(".").split(_BETWEEN)
        about = {item.text.partition(": ")[2]: json.loads(item.shown)["function"]["name"] for item in items}
        wanted = [_about(_understood(step)) for step in steps]
        return listed([about[text] for text in wanted if text in about]) or guess(case)

    def _spot(self, number: int) -> Spot:
        server, number = divmod(number, _PER_SERVER)
        return (server, *divmod(number, len(NOUNS)))

    def _siblings(self, rng: random.Random, spot: Spot) -> list[Spot]:
        server, verb, noun = spot
        return [
            (_another(rng, server, self.servers), verb, noun),
            (server, _another(rng, verb, len(VERBS)), noun),
            (server, verb, _another(rng, noun, len(NOUNS))),
        ]


def _another(rng: random.Random, place: int, count: int) -> int:
    """Another place of so many; with a single one, that."""
    return (place + rng.randint(1, max(count - 1, 1))) % count


def _name(spot: Spot) -> str:
    return f"{SERVERS[spot[0]].name}_{VERBS[spot[1]].name}_{NOUNS[spot[2]].name}"


def _about(spot: Spot) -> str:
    return f"{VERBS[spot[1]].about} {NOUNS[spot[2]].about} {SERVERS[spot[0]].about}."


def _query(spot: Spot) -> str:
    return f"{VERBS[spot[1]].asked} {NOUNS[spot[2]].asked} {SERVERS[spot[0]].asked}"


def _understood(step: str) -> Spot:
    """The place of the server, verb and noun that this wording stands for."""
    server = next(at for at, word in enumerate(SERVERS) if step.endswith(f" {word.asked}"))
    verb = next(at for at, word in enumerate(VERBS) if step.startswith(f"{word.asked} "))
    middle = step.removeprefix(VERBS[verb].asked).removesuffix(SERVERS[server].asked).strip()
    return server, verb, next(at for at, word in enumerate(NOUNS) if word.asked == middle)


def _tool(spot: Spot) -> Item:
    noun, name = NOUNS[spot[2]].name, _name(spot)
    parameters = {
        "type": "object",
        "properties": {noun: {"type": "string", "description": f"Id or text of {NOUNS[spot[2]].about}"}},
        "required": [noun],
    }
    function = {"name": name, "description": _about(spot), "parameters": parameters}
    return Item(
        id=name,
        text=f"{name}: {_about(spot)}",
        title=name,
        source=SERVERS[spot[0]].name,
        kind="tool",
        shown=json.dumps({"type": "function", "function": function}),
    )
