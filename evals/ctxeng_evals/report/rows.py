"""The rows of a report, one a column and case, worst first; details for as many of them as fit."""

from __future__ import annotations

import heapq
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ctxeng_evals.log import ResultLog
from ctxeng_evals.plan import Column, Plan
from ctxeng_evals.report.texts import Shelf, Texts, clipped
from ctxeng_evals.tally import SET_METRICS, better

ROWS = 50_000  # that a page lists
_ERROR = 2_000  # characters of an error
Key = tuple[int, str, int]  # column, case, repeat
Rank = tuple[bool, float, int]
Plain = dict[str, Any]
_EMPTY: Sequence[Any] = (None, "", (), [], {})


@dataclass(frozen=True)
class Side:
    """A run that a report shows."""

    folder: Path
    plan: Plan

    @property
    def records(self) -> ResultLog:
        """Its results."""
        return ResultLog(self.folder)

    @cached_property
    def texts(self) -> Texts:
        """Its cases, as far as they can be opened."""
        return Texts(self.plan)


@dataclass(frozen=True)
class Listing:
    """All rows of a page as plain data: `cases` and `texts` are what rows refer to by place."""

    columns: tuple[Column, ...]
    metrics: tuple[str, ...]
    rows: list[Plain]
    cases: list[Plain]
    texts: list[str]
    total: int
    detailed: int
    missing: tuple[str, ...]


@dataclass
class _Desk:
    """What is on the table while rows are made."""

    sides: Sequence[Side]
    metrics: tuple[str, ...]
    columns: tuple[Column, ...]
    room: int
    shelf: Shelf = field(default_factory=Shelf)
    cases: list[Plain] = field(default_factory=list)
    places: dict[tuple[str, str], int] = field(default_factory=dict)
    spent: int = 0
    detailed: int = 0


def listing(sides: Sequence[Side], detail_bytes: int, most: int = ROWS) -> Listing:
    """The rows of one run, or of two matched by column name and case id; `sides[-1]` is the run reported."""
    metrics = tuple(
        dict.fromkeys(n for s in reversed(sides) for n in s.plan.suite.metrics if n not in SET_METRICS)
    )
    columns = tuple({c.name: c for s in reversed(sides) for c in s.plan.columns}.values())
    ranks: dict[Key, Rank] = {}
    total = 0
    for side in sides:
        counted = itertools.count()
        for rank, key in heapq.nsmallest(most, _ranked(side, columns, metrics, counted)):
            ranks[key] = min(rank, ranks.get(key, rank))
        total = max(total, len(ranks), next(counted))
    chosen = sorted(ranks, key=lambda key: ranks[key])[:most]
    records = _records(sides, columns, set(chosen))
    desk = _Desk(sides, metrics, columns, detail_bytes)
    for side in sides:
        side.texts.want((columns[column].dataset, case) for column, case, _ in chosen)
    rows = [_row(desk, key, records[key]) for key in chosen]
    missing = dict.fromkeys(name for side in sides for name in side.texts.missing)
    return Listing(columns, metrics, rows, desk.cases, desk.shelf.texts, total, desk.detailed, tuple(missing))


def _places(side: Side, columns: Sequence[Column]) -> list[int]:
    """Where each of the side's columns stands among all."""
    names = {column.name: place for place, column in enumerate(columns)}
    return [names[column.name] for column in side.plan.columns]


def _ranked(
    side: Side, columns: Sequence[Column], metrics: Sequence[str], counted: Iterator[int]
) -> Iterator[tuple[Rank, Key]]:
    """Every row with its rank: failures, then the worst of the first metric, then the order of the run."""
    first = metrics[0] if metrics else ""
    sign = -1 if first and better(first) == "lower" else 1
    places = _places(side, columns)
    for record in side.records.records():
        score = record["scores"].get(first)
        known = score is not None and not math.isnan(score)
        rank = not record.get("error"), sign * score if known else math.inf, record["slot"]
        next(counted)
        yield rank, (places[record["column"]], record["case"], record.get("repeat", 0))


def _records(sides: Sequence[Side], columns: Sequence[Column], keys: set[Key]) -> dict[Key, list[Any]]:
    found: dict[Key, list[Any]] = {key: [None] * len(sides) for key in keys}
    for number, side in enumerate(sides):
        places, seconds = _places(side, columns), side.records.seconds()
        for record in side.records.records():
            key = places[record["column"]], record["case"], record.get("repeat", 0)
            if key in found:
                found[key][number] = record | {"seconds": seconds.get(record["slot"])}
    return found


def _row(desk: _Desk, key: Key, records: Sequence[Plain | None]) -> Plain:
    column, name, repeat = key
    case_key = desk.columns[column].dataset, name
    place = desk.places.get(case_key)
    if place is None:
        place = desk.places[case_key] = len(desk.cases)
        desk.cases.append({"id": name, "d": case_key[0]})
    row: Plain = {"c": column, "k": place, "e": [_entry(desk.metrics, record) for record in records]}
    if repeat:
        row["r"] = repeat
    if len(records) > 1 and _changed(records):
        row["z"] = 1
    if desk.spent < desk.room:
        _detail(desk, row, records)
    return row


def _entry(metrics: Sequence[str], record: Plain | None) -> Plain | None:
    """What a row always shows: scores, error, bill, and the composition of the window."""
    if record is None:
        return None
    entry: Plain = {"s": [record["scores"].get(name) for name in metrics]}
    for short, long in (("p", "confidence"), ("b", "spent"), ("u", "usage"), ("t", "seconds")):
        if record.get(long) not in (None, {}):
            entry[short] = record[long]
    if record.get("error"):
        entry["x"] = clipped(record["error"], _ERROR)
    return entry


def _changed(records: Sequence[Plain | None]) -> bool:
    return len({json.dumps([r and r.get(k) for k in ("scores", "error", "answer")]) for r in records}) > 1


def _detail(desk: _Desk, row: Plain, records: Sequence[Plain | None]) -> None:
    """Add the row's answers and windows, and its case's question; undone where there is no room for them."""
    place, dataset = row["k"], desk.columns[row["c"]].dataset
    texts, size = len(desk.shelf.texts), desk.shelf.size
    case = desk.cases[place]
    found: Plain = {}
    entries: list[Plain] = []
    for side, record in zip(desk.sides, records, strict=True):
        behind = side.texts
        known = behind.case(dataset, case["id"]) if record is not None else None
        bodies = behind.bodies(dataset, known) if known is not None else {}
        if known is not None and "q" not in case:
            found = {
                "q": known.question,
                "y": known.target,
                "o": known.choices,
                "g": [[ref, desk.shelf.place(bodies[ref]) if ref in bodies else -1] for ref in known.gold],
                "l": known.tags,
            }
        entries.append(_details(desk.shelf, record, bodies) if record is not None else {})
    cost = len(json.dumps([found, entries])) + desk.shelf.size - size
    if desk.spent + cost > desk.room:
        desk.shelf.cut(texts, size)
        desk.spent = desk.room  # the order is worst first: nothing behind this row is tried
        return
    desk.spent += cost
    desk.detailed += 1
    case |= {short: value for short, value in found.items() if value not in _EMPTY}
    row["f"] = 1
    for entry, more in zip(row["e"], entries, strict=True):
        if entry is not None:
            entry.update(more)


def _details(shelf: Shelf, record: Plain, bodies: Mapping[str, str]) -> Plain:
    detail: Plain = {}
    if "answer" in record:
        answer = record["answer"]
        detail["a"] = clipped(answer) if isinstance(answer, str) else answer
    if record.get("window"):
        detail["w"] = [
            [*piece[:4], shelf.place(text)] if (text := _text(piece, bodies)) else piece[:4]
            for piece in record["window"]
        ]
    if record.get("more"):
        detail["m"] = record["more"]
    return detail


def _text(piece: Sequence[Any], bodies: Mapping[str, str]) -> str:
    return str(piece[4]) if len(piece) > 4 else bodies.get(piece[2], "")  # noqa: PLR2004 - a text is fifth
