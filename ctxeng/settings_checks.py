"""What a settings file's schema alone cannot say: names that have to exist, amounts that have to agree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ctxeng.budget import Budget, Share
from ctxeng.errors import BadSettings, UnknownName
from ctxeng.judge import judge_named
from ctxeng.settings_schema import ModelSettings, Settings
from ctxeng.steps import HOOKED, REMOVABLE

STRATEGIES = ("auto", "ace", "onbox", "preference")
SOURCES = ("playbook", "preferences", "tools", "memory", "graph", "chunks")


def check(settings: Settings, path: Path) -> None:
    """What the schema alone cannot say: names that have to exist."""
    if settings.learning.strategy not in STRATEGIES:
        raise UnknownName(f"strategy in {path}", settings.learning.strategy, STRATEGIES)
    judge_named(settings.learning.judge)
    if settings.prompts and not (path.parent / settings.prompts).is_dir():
        raise BadSettings(f"{path}: prompts: there is no folder {path.parent / settings.prompts}")
    for name in settings.graph.without:
        if name not in (*SOURCES, *REMOVABLE):
            raise UnknownName(f"node or source in graph.without of {path}", name, (*SOURCES, *REMOVABLE))
    for name in settings.graph.before:
        if name not in HOOKED:
            raise UnknownName(f"node in graph.before of {path}", name, HOOKED)
    _check_order(settings, path)


def _check_order(settings: Settings, path: Path) -> None:
    """An order that is meant to be read needs a model that reads in order (APE knows none)."""
    if settings.context.sources.chunks.order != "ends":
        return
    for given in flattened(settings.models.answer):
        if given.id.startswith("local:") and "chunk" in given.local.apart:
            raise BadSettings(
                f"{path}: context.sources.chunks.order: ends means nothing to {given.id}, which reads "
                "documents side by side; leave the order out, or let the model read them in order"
            )


def flattened(given: ModelSettings) -> list[ModelSettings]:
    """A fallback and its own fallbacks, in the order in which they are asked."""
    return [given, *(deeper for one in given.fallback for deeper in flattened(one))]


def budget_of(settings: Settings, window: int, names: Sequence[str], path: Path) -> Budget:
    """The budget of a file. Raises BadSettings where its amounts contradict each other."""
    given = settings.context
    try:
        shares = {
            name: Share(options.min, options.share, options.most)
            for name, options in given.sources
            if name in names
        }
        return Budget(window, given.reply, given.loop, shares)
    except ValueError as error:
        raise BadSettings(f"{path}: context: {error}") from error
