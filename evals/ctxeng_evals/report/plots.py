"""The plots of a report: quality against a budget, learning curves, quality against the window's size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from ctxeng_evals.report import svg
from ctxeng_evals.report.breakdown import Curve
from ctxeng_evals.report.figures import at, number
from ctxeng_evals.report.pareto import pareto
from ctxeng_evals.report.sheet import Columns, Panel, Plots, Sheet, axis, by_dataset, drawn, unit
from ctxeng_evals.report.view import View


def plots(view: View) -> tuple[Plots, ...]:
    """Those of the three kinds that have something to say."""
    sheet = Sheet()
    for column in view.summary["columns"]:
        sheet.look(column["subject"])
    made = (_sweep(view, sheet), _learning(view, sheet), pareto(view, sheet))
    return tuple(each for each in made if each.panels)


# -- quality against an option of the sweep ----------------------------------------------------------------


def _sweep(view: View, sheet: Sheet) -> Plots:
    columns = view.summary["columns"]
    option = _swept(columns)
    panels: list[Panel] = []
    seen: dict[str, str] = {}
    for metric in drawn(view) if option else ():
        for dataset, mine in by_dataset(columns):
            lines = _lines([each for each in mine if each["metrics"].get(metric)], option)
            if max((len(line) for line in lines.values()), default=0) > 1:
                seen |= {name: line[0][1]["subject"] for name, line in lines.items()}
                said = f"{metric} against {option} on {dataset}"
                panels.append(
                    sheet.panel(f"{dataset}: {metric}", said, _sweep_drawer(sheet, lines, metric, option))
                )
    keys = tuple((sheet.look(subject).key, name) for name, subject in seen.items())
    about = f"Bands are 95 % intervals; a line across belongs to a subject that takes no {option}."
    return Plots(f"Against {option}", about, tuple(panels), keys)


def _sweep_drawer(
    sheet: Sheet, lines: Mapping[str, list[tuple[float | None, Mapping[str, Any]]]], metric: str, option: str
) -> Callable[[Any], str]:
    def draw(axes: Any) -> str:
        told = []
        for name, line in lines.items():
            look = sheet.look(line[0][1]["subject"])
            found = [column["metrics"][metric] for _, column in line]
            places = [place for place, _ in line if place is not None]
            told.append(f"{name} {', '.join(number(each['mean']) for each in found)}")
            if not places:
                axes.axhline(found[0]["mean"], **{**look.line, "marker": ""})
                continue
            axes.plot(places, [each["mean"] for each in found], **look.line)
            low, high = [each["low"] for each in found], [each["high"] for each in found]
            axes.fill_between(places, low, high, color=look.colour, alpha=0.13, linewidth=0)
        ticks = sorted({place for line in lines.values() for place, _ in line if place is not None})
        axis(axes, ticks)
        axes.set_xlabel(svg.words(option))
        shown = [column["metrics"][metric] for line in lines.values() for _, column in line]
        unit(axes, [each[end] for each in shown for end in ("low", "high")])
        return f"{option} {', '.join(f'{tick:g}' for tick in ticks)}. Means: {'; '.join(told)}."

    return draw


def _swept(columns: Columns) -> str:
    """The numeric option that has most values; a budget before others."""
    values: dict[str, set[float]] = {}
    for column in columns:
        for key, value in column["point"].items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                values.setdefault(key, set()).add(value)
    swept = [key for key, found in values.items() if len(found) > 1]
    return max(swept, key=lambda key: (key == "budget", len(values[key])), default="")


def _lines(columns: Columns, option: str) -> dict[str, list[tuple[float | None, Mapping[str, Any]]]]:
    """The columns of each line, by the line's name."""
    lines: dict[str, list[tuple[float | None, Mapping[str, Any]]]] = {}
    for column in columns:
        rest = at({key: value for key, value in column["point"].items() if key != option})
        place = column["point"].get(option)
        if isinstance(place, int | float) or place is None:
            name = f"{column['subject']} ({rest})" if rest else column["subject"]
            lines.setdefault(name, []).append((place, column))
    return {name: sorted(line, key=lambda each: each[0] or 0) for name, line in lines.items()}


# -- learning ----------------------------------------------------------------------------------------------


def _learning(view: View, sheet: Sheet) -> Plots:
    groups: dict[str, list[Curve]] = {}
    for curve in view.curves:
        groups.setdefault(curve.dataset, []).append(curve)
    panels: list[Panel] = []
    keys: dict[str, Markup] = {}
    for dataset, curves in groups.items():
        if any(curve.learns for curve in curves):
            looks = {curve.label: sheet.look(curve.label) for curve in curves}
            keys |= {label: look.key for label, look in looks.items()}
            said = f"{curves[0].metric} over the stream of {dataset}"
            panels.append(sheet.panel(f"{dataset}: {curves[0].metric}", said, _curve_drawer(curves, looks)))
    about = "Each point is the mean over a tenth of the stream, with its 95 % interval."
    return Plots("Learning", about, tuple(panels), tuple((key, label) for label, key in keys.items()))


def _curve_drawer(curves: Sequence[Curve], looks: Mapping[str, svg.Look]) -> Callable[[Any], str]:
    def draw(axes: Any) -> str:
        told, ends = [], []
        for curve in curves:
            look = looks[curve.label]
            points = [(10 * tenth, each) for tenth, each in enumerate(curve.tenths, 1) if each is not None]
            places, means = [place for place, _ in points], [each.mean for _, each in points]
            low, high = [each.low for _, each in points], [each.high for _, each in points]
            axes.plot(places, means, **look.line)
            axes.fill_between(places, low, high, color=look.colour, alpha=0.13, linewidth=0)
            ends += [*low, *high]
            told.append(f"{curve.label} from {number(means[0])} to {number(means[-1])}")
        axes.set_xlabel("% of the stream")
        unit(axes, ends)
        return f"From the first tenth to the last: {'; '.join(told)}."

    return draw
