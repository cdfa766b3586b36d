"""Quality against the size of the window: every column a point, and the frontier of those none beats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from ctxeng_evals.report import svg
from ctxeng_evals.report.figures import number
from ctxeng_evals.report.labels import placed
from ctxeng_evals.report.sheet import Columns, Panel, Plots, Sheet, axis, by_dataset, drawn, unit
from ctxeng_evals.report.view import View


def pareto(view: View, sheet: Sheet) -> Plots:
    """A panel for each dataset whose columns have windows of different sizes."""
    panels: list[Panel] = []
    seen: dict[str, Markup] = {}
    metric = next(iter(drawn(view)), "")
    higher = view.summary["metrics"].get(metric, {}).get("better") == "higher"
    for dataset, mine in by_dataset(view.summary["columns"]) if metric else ():
        shown = [each for each in mine if each["tokens"] > 0 and each["metrics"].get(metric)]
        if len({each["tokens"] for each in shown}) > 1:
            seen |= {each["subject"]: sheet.look(each["subject"]).key for each in shown}
            said = f"{metric} against tokens of the window on {dataset}"
            panels.append(
                sheet.panel(f"{dataset}: {metric}", said, _pareto_drawer(sheet, shown, metric, higher=higher))
            )
    about = "No window of at most the same size does better than those on the grey line."
    keys = tuple((key, name) for name, key in seen.items())
    return Plots("Quality and size of the window", about, tuple(panels), keys)


def _pareto_drawer(sheet: Sheet, columns: Columns, metric: str, *, higher: bool) -> Callable[[Any], str]:
    def draw(axes: Any) -> str:
        points = {each["name"]: (each["tokens"], each["metrics"][metric]["mean"]) for each in columns}
        front = frontier(points, higher=higher)
        for subject in dict.fromkeys(each["subject"] for each in columns):
            mine = sorted(points[each["name"]] for each in columns if each["subject"] == subject)
            axes.plot(
                *zip(*mine, strict=True), **{**sheet.look(subject).line, "linewidth": 0.8, "markersize": 6}
            )
        axis(axes, [place for place, _ in points.values()], ticked=False)
        axes.set_xlabel("tokens of the window, mean")
        unit(axes, [height for _, height in points.values()], room=0.12)
        axes.margins(x=0.12)
        edge = [points[name] for name in front]
        edge.append((axes.get_xlim()[1], edge[-1][1]))
        axes.step(*zip(*edge, strict=True), where="post", color=svg.MUTED, linewidth=4, alpha=0.3, zorder=1.5)
        placed(axes, _names(columns, points, front), list(points.values()))
        told = [
            f"{_label(each)}: {number(points[each['name']][1])} with {each['tokens']:,.0f}"
            for each in sorted(columns, key=lambda each: each["tokens"])
            if each["name"] in front
        ]
        return f"On the frontier, smallest window first: {'; '.join(told)} tokens."

    return draw


def _names(
    columns: Columns, points: Mapping[str, tuple[float, float]], front: Sequence[str]
) -> list[tuple[str, float, float]]:
    """What stands beside points: the name at the last of a subject and on the frontier, else the values."""
    last = {each["subject"]: each["name"] for each in sorted(columns, key=lambda each: each["tokens"])}
    named = [each for each in columns if each["name"] in front or each["name"] in last.values()]
    named.sort(key=lambda each: each["name"] not in front)
    labels = [(_label(each), *points[each["name"]]) for each in named]
    values = [(_values(each), *points[each["name"]]) for each in columns if each not in named]
    return labels + [value for value in values if value[0]]


def frontier(points: Mapping[str, tuple[float, float]], *, higher: bool) -> list[str]:
    """The names of the points that no other beats at the same size or less, smallest first."""
    sign = 1 if higher else -1
    found: list[str] = []
    for name in sorted(points, key=lambda name: (points[name][0], -sign * points[name][1])):
        if not found or sign * points[name][1] > sign * points[found[-1]][1]:
            found.append(name)
    return found


def _label(column: Mapping[str, Any]) -> str:
    return svg.words(f"{column['subject']} {_values(column)}".strip())


def _values(column: Mapping[str, Any]) -> str:
    return svg.words(" ".join(f"{value}" for value in column["point"].values()))
