"""What all plots of a page share: panels, who looks how, axes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup
from matplotlib.ticker import LogLocator

from ctxeng_evals.report import svg
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
class Sheet:
    """What all plots of a page share: who looks how, and the next prefix of ids."""

    looks: dict[str, svg.Look] = field(default_factory=dict)
    count: int = 0

    def look(self, name: str) -> svg.Look:
        """How the series of this name is drawn, wherever on the page."""
        return self.looks.setdefault(name, svg.Look(len(self.looks)))

    def panel(self, caption: str, title: str, draw: Callable[[Any], str]) -> Panel:
        """The panel that `draw` draws on given axes; it says in words what is to be seen."""
        self.count += 1
        with svg.drawing() as (figure, axes):
            description = draw(axes)
            return Panel(caption, svg.rendered(figure, f"p{self.count}", title, description))


def drawn(view: View) -> list[str]:
    """The metrics that plots show: the first of those that measure quality."""
    names = [name for name in view.summary["metrics"] if name not in _NOT_QUALITY]
    return names[:_METRICS]


def by_dataset(columns: Columns) -> Iterator[tuple[str, Columns]]:
    """The columns of each dataset."""
    for dataset in dict.fromkeys(column["dataset"] for column in columns):
        yield dataset, [column for column in columns if column["dataset"] == dataset]


def axis(axes: Any, places: Sequence[float], *, ticked: bool = True) -> None:
    """Sizes double rather than add up: their axis is logarithmic where they span far enough."""
    if min(places) > 0 and max(places) / min(places) >= (_LOG if not ticked else 3):
        axes.set_xscale("log", subs=[])
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    if ticked:
        axes.set_xticks(places, labels=[f"{place:,g}" for place in places])
        axes.minorticks_off()
    else:
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def unit(axes: Any, ends: Sequence[float], room: float = 0.04) -> None:
    """Shares are seen between 0 and 1, with `room` around them; other values on their own scale."""
    if min(ends) >= 0 and max(ends) <= 1:
        axes.set_ylim(-room / 2, 1 + room)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
