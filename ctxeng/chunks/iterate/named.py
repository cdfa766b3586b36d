"""Steps that retrieve with a model, by the names that settings use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

from ctxeng.chunks.iterate.agentic_lu import AgenticLu
from ctxeng.chunks.iterate.base import Search
from ctxeng.chunks.iterate.decompose import Decompose
from ctxeng.chunks.iterate.ext_agents import ExtAgents
from ctxeng.chunks.iterate.iterdrag import IterDrag
from ctxeng.errors import UnknownName
from ctxeng.protocols import Prepare
from ctxeng.text.prompts import Prompts

PrepareName = Literal["decompose", "iterdrag", "agentic_lu", "ext_agents"]
Step = Decompose | IterDrag | AgenticLu | ExtAgents

OURS = Prompts()
STEPS: Mapping[str, Callable[[], Step]] = {
    "decompose": Decompose,
    "iterdrag": IterDrag,
    "agentic_lu": AgenticLu,
    "ext_agents": ExtAgents,
}


def prepare_named(
    name: str, search: Search | None = None, cap: int | None = None, prompts: Prompts = OURS
) -> Prepare:
    """The step with its defaults; without a cap, its own. Raises UnknownName, and BadInput for a cap below 1.

    `search` is `Corpus.search`, say; without one the chunks of the request are searched.
    """
    if name not in STEPS:
        raise UnknownName("step", name, list(STEPS))
    step = replace(STEPS[name](), search=search, prompts=prompts)
    return step if cap is None else replace(step, cap=cap)
