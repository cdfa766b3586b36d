"""Figures as people read them in a terminal: bars, sparklines, and the window as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from ctxeng.cli.common import clipped

if TYPE_CHECKING:
    from ctxeng.turn import Context, Section, Usage

_BLOCKS = "▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_BAR = 16  # characters of a full bar
_WHAT = 52
_ROWS = 12  # of one source; the others are one line, except what was cited


def simple_table(*columns: str, right: Sequence[str] = (), title: str = "") -> Table:
    """A table with a rule under its head and nothing else."""
    table = Table(box=None, pad_edge=False, title=title or None, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def cells(value: object, width: int) -> str:
    """A value as a cell of at most `width` characters."""
    return f"{value:,}" if isinstance(value, int) else clipped(str(value), width)


def bar(share: float, width: int = _BAR) -> str:
    """A bar that is full at 1; anything above nothing shows."""
    eighths = min(round(max(share, 0.0) * width * 8), width * 8)
    eighths = max(eighths, 1) if share > 0 else 0
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip() or ""


def sparkline(values: Sequence[float], top: float | None = None) -> str:
    """The values as blocks, from nothing to the highest."""
    most = max(values, default=0.0) if top is None else top
    return "".join(_BLOCKS[min(7, int(value / most * 7.999)) if most > 0 else 0] for value in values)


def parts(values: Sequence[float], most: int) -> list[float]:
    """Means of at most so many equal parts, in order."""
    count = min(most, len(values))
    cuts = [len(values) * part // count for part in range(count + 1)] if count else []
    return [sum(values[a:b]) / (b - a) for a, b in pairwise(cuts)]


def score(value: float | None) -> str:
    """A score as papers write it; a dash where there is none."""
    return "-" if value is None else f"{value:.3f}"


def seconds(value: float) -> str:
    """A time left, as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def window_table(context: Context, cited: Sequence[str]) -> Table:
    """Where the window's tokens went: source, what, tokens, share of the window; cited sections marked."""
    table = simple_table("source", "what", "tokens", "share", right=("tokens",))
    whole = max(1, context.tokens)
    counted = sum(section.tokens for section in context.sections)
    for source, sections in _by_source(context).items():
        hidden: list[Section] = []
        for place, section in enumerate(sections):
            if place >= _ROWS and section.ref not in cited:
                hidden.append(section)
                continue
            is_cited = bool(section.ref) and section.ref in cited
            what = Text(what_of(section), style="bold" if is_cited else "")
            what.append("  ← cited" if is_cited else "", style="green")
            table.add_row(source, what, f"{section.tokens:,}", bar(section.tokens / whole))
        if hidden:
            tokens = sum(section.tokens for section in hidden)
            table.add_row(source, f"... and {len(hidden)} more", f"{tokens:,}", bar(tokens / whole))
    rest = context.tokens - counted
    table.add_row("", Text("headings and message overhead", style="dim"), f"{rest:,}", bar(rest / whole))
    table.add_section()
    full = context.tokens / max(1, context.limit)
    total = f"{full:.1%} of the {context.limit:,} that a prompt may have"
    table.add_row("total", total, f"{context.tokens:,}", "", style="bold")
    return table


def what_of(section: Section) -> str:
    """What a section is, in one line: its ref and how it begins."""
    from ctxeng.turn import Chunk, Message, Note, Tool  # noqa: PLC0415 - pydantic takes a tenth of a second

    match section.body:
        case Note(text=text, when=when):
            said = f"{when} -> {text}" if when else text
        case Chunk(title=title, text=text):
            heading = title.partition(": ")[2]
            said = f"{heading}: {text.partition(heading)[2]}" if heading else text
        case Tool(description=description):
            said = description
        case Message(role=role, text=text):
            said = f"{role}: {text}" if section.kind in {"message", "step"} else text
        case str(text):
            said = text
    kind = "" if section.kind in {"query", "chunk", "playbook", "tool"} else f"{section.kind}: "
    return clipped(f"{f'[{section.ref}] ' if section.ref else ''}{kind}{said}", _WHAT)


def usage_table(usage: Mapping[str, Usage]) -> Table:
    """Tokens by role."""
    columns = ("calls", "tokens in", "out", "cached", "cost")
    table = simple_table("role", *columns, right=columns)
    for role, spent in usage.items():
        about = "" if spent.exact else "~"
        table.add_row(
            role,
            f"{spent.calls:,}",
            f"{about}{spent.input:,}",
            f"{about}{spent.output:,}",
            f"{spent.cached:,}",
            f"${spent.cost:.4f}" if spent.cost else "-",
        )
    return table


def _by_source(context: Context) -> dict[str, list[Section]]:
    found: dict[str, list[Section]] = {}
    for section in context.sections:
        found.setdefault(section.source, []).append(section)
    return found
