"""Who loads and unloads tools: the graph, the model, or both (MemTool's three modes)."""

from __future__ import annotations

from dataclasses import dataclass

from ctxeng.errors import UnknownName


@dataclass(frozen=True)
class Mode:
    """Which of the two operators run as steps before the window is assembled, and which the model holds.

    The operators are the same either way (MemTool, arXiv 2507.21428): `search_and_add` and `remove`.
    """

    prune_step: bool
    search_step: bool
    prune_tool: bool
    search_tool: bool


AUTONOMOUS = Mode(prune_step=False, search_step=False, prune_tool=True, search_tool=True)
WORKFLOW = Mode(prune_step=True, search_step=True, prune_tool=False, search_tool=False)
HYBRID = Mode(prune_step=True, search_step=False, prune_tool=False, search_tool=True)
GUIDED = Mode(prune_step=True, search_step=True, prune_tool=False, search_tool=True)
MODES = {"autonomous": AUTONOMOUS, "workflow": WORKFLOW, "hybrid": HYBRID, "guided": GUIDED}


def mode_named(name: str) -> Mode:
    """The mode of that name: `autonomous` for strong models, `workflow` for none at all, `hybrid` otherwise.

    `guided` is hybrid whose window has the best matches loaded before the model looks for more.
    Raises UnknownName.
    """
    if name not in MODES:
        raise UnknownName("tool mode", name, list(MODES))
    return MODES[name]
