"""What one sees of a run while it goes on: a bar, the running accuracy, and the deltas as they land."""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ctxeng.cli.common import emit, note, notes
from ctxeng.cli.deltas import COLOURS, counts, sentence
from ctxeng.cli.tables import parts, score, seconds, sparkline
from ctxeng.playbook.delta import Delta
from ctxeng.train import Tick

_TAIL = 6
_RECENT = 50
_SPARKS = 24
_LINES = 10  # of progress, where there is no terminal to draw on


class Watch:
    """Adds up the ticks of a run; its subclasses show them."""

    def __init__(self, total: int, label: str) -> None:
        self.total, self.label = total, label
        self.done = self.partial = 0
        self.scores: list[float] = []
        self.deltas: list[Delta] = []
        self.refused = 0
        self._times: deque[float] = deque([time.monotonic()], maxlen=_RECENT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to put away."""

    def answered(self) -> None:
        """One more task of the window that is being answered."""
        self.partial += 1
        self._times.append(time.monotonic())
        self.show(None)

    def tick(self, tick: Tick) -> None:
        """A step of the trainer."""
        if tick.kind == "answered":
            self.done, self.partial, self.total = tick.done, 0, tick.total
            self.scores += [each.score for each in tick.scored if each.score is not None]
        if tick.learned is not None:
            self.deltas += tick.learned.applied
            self.refused += len(tick.learned.refused)
        self.show(tick)

    def show(self, tick: Tick | None) -> None:
        """Let people see it."""

    @property
    def now(self) -> int:
        """Tasks answered so far."""
        return min(self.total, self.done + self.partial)

    @property
    def rate(self) -> float:
        """Tasks a second, of late."""
        return (len(self._times) - 1) / max(1e-9, time.monotonic() - self._times[0])

    @property
    def accuracy(self) -> float | None:
        """The mean score so far."""
        return sum(self.scores) / len(self.scores) if self.scores else None


class Silent(Watch):
    """Shows nothing: the pass before learning, where output is JSON."""


class JsonLines(Watch):
    """One JSON line a tick."""

    def show(self, tick: Tick | None) -> None:
        """The tick as a line."""
        if tick is None:
            return
        line: dict[str, Any] = {"event": tick.kind, "done": tick.done, "total": tick.total}
        line |= {"resumed": True} if tick.resumed else {}
        match tick.kind:
            case "answered":
                line |= {"accuracy": self.accuracy, "tasks": [_scored(each) for each in tick.scored]}
            case "learned" if tick.learned is not None:
                line |= {"applied": tick.learned.applied, "refused": tick.learned.refused}
                line |= {"version": tick.learned.version}
            case _:
                line |= {"accuracy": tick.validation}
        emit(line)


class Plain(Watch):
    """A line for every tenth of the run, for logs."""

    shown = 0

    def show(self, tick: Tick | None) -> None:
        """A line, if one is due."""
        tenth = self.now * _LINES // max(1, self.total)
        if tick is not None and tick.kind == "answered" and tenth > self.shown:
            self.shown = tenth
            landed = counts(self.deltas)
            gained = f", {landed.get('add', 0):,} entries added" if landed else ""
            note(f"{self.label}: {self.now:,} of {self.total:,}, accuracy {score(self.accuracy)}{gained}")


class Drawn(Watch):
    """A live picture in the terminal."""

    def __init__(self, total: int, label: str) -> None:
        super().__init__(total, label)
        self._tail: deque[Delta] = deque(maxlen=_TAIL)
        self._live = Live(console=notes(), get_renderable=self._picture, refresh_per_second=8)

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._tail.clear()  # what stays on the screen is the summary, the deltas are in the diff
        self._live.stop()

    def show(self, tick: Tick | None) -> None:
        """Remember what landed; the picture draws itself."""
        if tick is not None and tick.learned is not None and not tick.resumed:
            self._tail.extend(delta for delta in tick.learned.applied if delta.op != "tag")

    def _picture(self) -> RenderableType:
        left = (self.total - self.now) / self.rate if self.rate else None
        grid = Table.grid(padding=(0, 2))
        grid.add_row(
            Text(self.label, style="bold"),
            ProgressBar(total=max(1, self.total), completed=self.now, width=32),
            f"{self.now:,}/{self.total:,}",
            f"{self.rate:.1f} tasks/s" if self.rate else "starting",
            f"{seconds(left)} left" if left is not None and self.now < self.total else "",
        )
        return Group(grid, self._accuracy(), *self._landed())

    def _accuracy(self) -> Text:
        recent = self.scores[-_RECENT:]
        line = Text.assemble("accuracy  ", (score(self.accuracy), "bold"))
        if len(self.scores) > _RECENT:
            line.append(f"  last {_RECENT} {score(sum(recent) / len(recent))}")
        line.append(f"  {sparkline(parts(self.scores, _SPARKS), top=1.0)}", style="cyan")
        return line

    def _landed(self) -> list[Text]:
        landed = counts(self.deltas)
        if not landed and not self.refused:
            return []
        words = "  ".join(f"{op} {number:,}" for op, number in landed.items())
        line = Text(f"deltas    {words}")
        line.append(f"  refused {self.refused:,}" if self.refused else "", style="red")
        width = max(40, notes().width - 4)
        return [line, *(Text(f"  {sentence(each, width)}", style=COLOURS[each.op]) for each in self._tail)]


def watch(total: int, label: str, *, as_json: bool, quiet: bool = False) -> Watch:
    """The watch that suits where the output goes."""
    if as_json:
        return Silent(total, label) if quiet else JsonLines(total, label)
    return Drawn(total, label) if notes().is_terminal else Plain(total, label)


def _scored(each: Any) -> dict[str, Any]:
    found = {"task": each.task, "score": each.score, "tokens": each.tokens}
    return {**found, "error": each.error} if each.error else found
