"""Figures as text, and which of them are the best of their group; shared by the page and the Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

_LARGE = 100  # from here on digits behind the point say nothing
_MILLI = 0.001
_EQUAL = 1e-9


class Judged(Protocol):
    """A criterion that was held against a run."""

    @property
    def text(self) -> str:
        """What was asked, and what was found."""
        ...

    @property
    def ok(self) -> bool:
        """Whether it is fulfilled."""
        ...


def number(value: float, like: float | None = None) -> str:
    """The value in as many digits as one of this size (or of `like`'s) deserves."""
    return f"{value:,.0f}" if abs(value if like is None else like) >= _LARGE else f"{value:.3f}"


def interval(found: Mapping[str, float]) -> str:
    """The interval of an estimate: "0.412 to 0.533"."""
    return f"{number(found['low'], found['high'])} to {number(found['high'])}"


def duration(seconds: float) -> str:
    """Seconds in the unit in which they are read easily."""
    if seconds < 1:
        return f"{1_000_000 * seconds:.0f} µs" if seconds < _MILLI else f"{1000 * seconds:.3g} ms"
    return f"{seconds:.1f} s" if seconds < _LARGE else f"{seconds / 60:.1f} min"


def said(value: object) -> str:
    """A value of JSON as a reader expects it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def at(point: Mapping[str, Any]) -> str:
    """A point of the sweep in words; empty where there is none."""
    return ", ".join(f"{key} {said(value)}" for key, value in point.items())


def ordered(columns: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The columns so that those of one dataset and point, which are compared, stand together."""
    ranks: dict[tuple[str, str], int] = {}
    given = list(columns)
    for column in given:
        ranks.setdefault((column["dataset"], at(column["point"])), len(ranks))
    return sorted(given, key=lambda column: ranks[column["dataset"], at(column["point"])])


def best(summary: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Column and metric of every figure that no other of its dataset and point beats.

    A group of one has no best, nor has one in which all are equal.
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for column in summary["columns"]:
        groups.setdefault((column["dataset"], at(column["point"])), []).append(column)
    found: set[tuple[str, str]] = set()
    for columns in groups.values():
        for name, about in summary["metrics"].items():
            found |= {(column, name) for column in _leading(columns, name, about["better"])}
    return found


def _leading(columns: Sequence[Mapping[str, Any]], name: str, better: str) -> list[str]:
    means = {each["name"]: each["metrics"][name]["mean"] for each in columns if each["metrics"].get(name)}
    if len(means) < 2 or max(means.values()) - min(means.values()) < _EQUAL:  # noqa: PLR2004 - a comparison
        return []
    top = max(means.values()) if better == "higher" else min(means.values())
    return [column for column, mean in means.items() if abs(mean - top) < _EQUAL]
