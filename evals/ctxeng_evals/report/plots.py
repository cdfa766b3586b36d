"""The plots of a report: quality against a budget, learning curves, quality against the window's size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from ctxeng_evals.report import svg
from ctxeng_evals.report.breakdown import Curve
from ctxeng_evals.report.figures import at, number
from ctxeng_evals.report.labels import placed
from ctxeng_evals.report.view import View

_METRICS = 2  # that are drawn
_NOT_QUALITY = ("tokens", "tokens_in", "tokens_out", "tokens_cached", "cost", "held")
_LOG = 8.0  # from this ratio on an axis is logarithmic
Columns = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Panel:
    """One plot, with its caption."""

    caption: str
    svg: Markup


@dataclass(frozen=True)
class Plots:
    """Plots of one kind, side by side; `keys` is the key that they share: a drawing and its name."""

    title: str
    about: str
    panels: tuple[Panel, ...]
    keys: tuple[tuple[Markup, str], ...] = ()


@dataclass
class _Sheet:
    """What all plots of a page share: who looks how, and the next prefix of ids."""

    looks: dict[str, svg.Look] = field(default_factory=dict)
    count: int = 0

    def look(self, name: str) -> svg.Look:
        return self.looks.setdefault(name, svg.Look(len(self.looks)))

    def panel(self, caption: str, title: str, draw: Callable[[Any], str]) -> Panel:
        """The panel that `draw` draws on given axes; it says in words what is to be seen."""
        self.count += 1
        with svg.drawing() as (figure, axes):
            description = draw(axes)
            return Panel(caption, svg.rendered(figure, f"p{self.count}", title, description))


def plots(view: View) -> tuple[Plots, ...]:
    """Those of the three kinds that have something to say."""
    sheet = _Sheet()
    for column in view.summary["columns"]:
        sheet.look(column["subject"])
    made = (_sweep(view, sheet), _learning(view, sheet), _pareto(view, sheet))
    return tuple(each for each in made if each.panels)


# -- quality against an option of the sweep ----------------------------------------------------------------


def _sweep(view: View, sheet: _Sheet) -> Plots:
    columns = view.summary["columns"]
    option = _swept(columns)
    panels: list[Panel] = []
    seen: dict[str, str] = {}
    for metric in _drawn(view) if option else ():
        for dataset, mine in _by_dataset(columns):
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
    sheet: _Sheet, lines: Mapping[str, list[tuple[float | None, Mapping[str, Any]]]], metric: str, option: str
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
        _axis(axes, ticks)
        axes.set_xlabel(svg.words(option))
        _unit(
            axes, [each for line in lines.values() for _, c in line for each in _ends(c["metrics"][metric])]
        )
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


def _learning(view: View, sheet: _Sheet) -> Plots:
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
        _unit(axes, ends)
        return f"From the first tenth to the last: {'; '.join(told)}."

    return draw


# -- quality against the size of the window ----------------------------------------------------------------


def _pareto(view: View, sheet: _Sheet) -> Plots:
    panels: list[Panel] = []
    seen: dict[str, Markup] = {}
    metric = next(iter(_drawn(view)), "")
    higher = view.summary["metrics"].get(metric, {}).get("better") == "higher"
    for dataset, mine in _by_dataset(view.summary["columns"]) if metric else ():
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


def _pareto_drawer(sheet: _Sheet, columns: Columns, metric: str, *, higher: bool) -> Callable[[Any], str]:
    def draw(axes: Any) -> str:
        points = {each["name"]: (each["tokens"], each["metrics"][metric]["mean"]) for each in columns}
        front = frontier(points, higher=higher)
        edge = [points[name] for name in front]
        axes.step(*zip(*edge, strict=True), where="post", color=svg.MUTED, linewidth=1.1, zorder=1.5)
        for each in columns:
            line = {**sheet.look(each["subject"]).line, "linestyle": "", "markersize": 6.5}
            axes.plot(*points[each["name"]], **line)
        _axis(axes, [place for place, _ in points.values()], ticked=False)
        axes.set_xlabel("tokens of the window, mean")
        _unit(axes, [height for _, height in points.values()])
        axes.margins(x=0.12)
        first = [each for each in columns if each["name"] in front]
        labels = [(_label(each), *points[each["name"]]) for each in first]
        labels += [(_label(each), *points[each["name"]]) for each in columns if each["name"] not in front]
        placed(axes, labels, list(points.values()))
        told = "; ".join(
            f"{_label(e)}: {number(e['metrics'][metric]['mean'])} with {e['tokens']:,.0f}" for e in first
        )
        return f"On the frontier, smallest window first: {told} tokens."

    return draw


def frontier(points: Mapping[str, tuple[float, float]], *, higher: bool) -> list[str]:
    """The names of the points that no other beats at the same size or less, smallest first."""
    sign = 1 if higher else -1
    found: list[str] = []
    for name in sorted(points, key=lambda name: (points[name][0], -sign * points[name][1])):
        if not found or sign * points[name][1] > sign * points[found[-1]][1]:
            found.append(name)
    return found


# -- what they share ---------------------------------------------------------------------------------------


def _label(column: Mapping[str, Any]) -> str:
    values = " ".join(f"{value}" for value in column["point"].values())
    return svg.words(f"{column['subject']} {values}".strip())


def _drawn(view: View) -> list[str]:
    names = [name for name in view.summary["metrics"] if name not in _NOT_QUALITY]
    return names[:_METRICS]


def _by_dataset(columns: Columns) -> Iterator[tuple[str, Columns]]:
    for dataset in dict.fromkeys(column["dataset"] for column in columns):
        yield dataset, [column for column in columns if column["dataset"] == dataset]


def _ends(found: Mapping[str, float]) -> tuple[float, float]:
    return found["low"], found["high"]


def _axis(axes: Any, places: Sequence[float], *, ticked: bool = True) -> None:
    """Sizes double rather than add up: their axis is logarithmic where they span far enough."""
    if min(places) > 0 and max(places) / min(places) >= (_LOG if not ticked else 3):
        axes.set_xscale("log")
    if ticked:
        axes.set_xticks(places, labels=[f"{place:,g}" for place in places])
        axes.minorticks_off()
    else:
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.xaxis.set_minor_formatter("")


def _unit(axes: Any, ends: Sequence[float]) -> None:
    """Shares are seen between 0 and 1; other values on their own scale."""
    if min(ends) >= 0 and max(ends) <= 1:
        axes.set_ylim(-0.02, 1.04)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
