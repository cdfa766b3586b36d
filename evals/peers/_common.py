"""What the adapters share: our token counter, our way of filling a budget, and tools as peers are given them.

Adapters are loaded by their paths, so they have no package to import this from, and putting this folder on
`sys.path` would hide the peers behind adapters of the same name. Each adapter therefore runs this file into a
module of its own, with two lines at its top.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from ctxeng.errors import UnknownName
from ctxeng.tokens import VOCABULARIES, Counter, Estimate, tiktoken_counter
from ctxeng_evals.case import Case, Dataset, Item, Outcome, Solver
from ctxeng_evals.subjects.requests import as_tool
from ctxeng_evals.subjects.select import Select

Rank = Callable[[str], Sequence[int]]  # a question to the places of items, best first


def counter_of(name: str) -> Counter:
    """The counter that a suite of this `counter` has. Raises UnknownName where it is not on this machine."""
    found = Estimate() if name == "estimate" else tiktoken_counter(name)
    if found is None:
        raise UnknownName("counter on this machine", name, ["estimate", *VOCABULARIES])
    return found


def ranking(
    peer: str,
    dataset: Dataset,
    index: Callable[[Sequence[Item]], Rank],
    *,
    budget: int | None,
    count: int | None,
    counter: str,
) -> Solver:
    """A solver that fills the window in the peer's order, by the code our own selections are filled with.

    `index` is called once for a pool that cases share, and once for each case that has items of its own.
    """
    fill = Select("first", counter_of(counter), budget=budget, count=count)  # its order is not asked for
    shared = lru_cache(maxsize=64)(lambda name: index(dataset.pools[name]))

    def solve(case: Case) -> Outcome:
        items = dataset.items(case)
        if not items:
            return Outcome()
        rank = shared(case.pool) if case.pool and not case.items else index(items)
        return signed(fill.filled(items, rank(case.question)), peer)

    return solve


def signed(outcome: Outcome, peer: str) -> Outcome:
    """The outcome with the peer as the source of every piece."""
    window = tuple(piece.model_copy(update={"source": peer}) for piece in outcome.window)
    return outcome.model_copy(update={"window": window})


def searched(item: Item) -> str:
    """The text that our own selections search for this item."""
    return f"{item.title}\n{item.text}" if item.title else item.text


def functions(items: Sequence[Item], about: str) -> Mapping[str, dict[str, Any]]:
    """The items as OpenAI functions by name, in order; a name that is taken gets a number behind it.

    `about` says what describes them: the item's "text", which our own selections search, or its "schema".
    """
    if about not in {"text", "schema"}:
        raise UnknownName("about", about, ["text", "schema"])
    named: dict[str, dict[str, Any]] = {}
    for place, item in enumerate(items):
        tool = as_tool(item)
        name = tool.name if tool.name not in named else f"{tool.name}_{place}"
        described = item.text if about == "text" else tool.description
        parameters = json.loads(json.dumps(tool.parameters))  # the peer may write into its own
        named[name] = {"name": name, "description": described, "parameters": parameters}
    return named
