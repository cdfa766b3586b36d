"""The report as one HTML file that needs nothing else, and runs nothing that a model wrote."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ctxeng_evals.report.figures import at, best, duration, interval, number, ordered, said
from ctxeng_evals.report.plots import plots
from ctxeng_evals.report.view import View

_ENDS = ("mean", "low", "high")
_HERE = Path(__file__).parent
# a script element must not hold the first three, and old parsers end lines at the last two
_ESCAPES = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def page(view: View) -> str:
    """The page; equal views give equal pages. It can be written as UTF-8 whatever the results hold."""
    made = _environment().get_template("template.html.j2")
    text = made.render(
        view=view,
        lead=_lead(view),
        tables=_tables(view),
        plots=plots(view),
        data=embedded(_payload(view)),
        style=_own("style.css"),
        script=_own("script.js"),
    )
    return _NO_TEXT.sub("\N{REPLACEMENT CHARACTER}", text)


def embedded(value: Any) -> Markup:
    """The value as JSON that can stand in a script element: nothing in it closes the element."""
    text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.translate(_ESCAPES))  # noqa: S704 - escaped for where it stands


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"number": number, "interval": interval, "duration": duration}
    return made


def _own(name: str) -> Markup:
    return Markup((_HERE / name).read_text(encoding="utf-8"))  # noqa: S704 - files of this package


def _lead(view: View) -> str:
    """The run in a sentence."""
    columns = view.summary["columns"]
    cases, failed = sum(each["cases"] for each in columns), sum(each["failed"] for each in columns)
    subjects = len({each["subject"] for each in columns})
    datasets = len({each["dataset"] for each in columns})
    parts = [_many(subjects, "subject"), _many(datasets, "dataset"), _many(cases, "answer")]
    return f"{parts[0]} on {parts[1]}: {parts[2]}, {f'{failed:,} failed' if failed else 'none failed'}."


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _tables(view: View) -> list[dict[str, Any]]:
    """The headline table of each dataset: its columns with those of one point, which compete, together."""
    leading = best(view.summary)
    tables = []
    for dataset in dict.fromkeys(column["dataset"] for column in view.summary["columns"]):
        mine = ordered(each for each in view.summary["columns"] if each["dataset"] == dataset)
        options = list(dict.fromkeys(key for column in mine for key in column["point"]))
        groups: dict[str, list[dict[str, Any]]] = {}
        for column in mine:
            groups.setdefault(at(column["point"]), []).append(_line(view, column, options, leading))
        tables.append({"dataset": dataset, "options": options, "groups": list(groups.values())})
    return tables


def _line(
    view: View, column: Mapping[str, Any], options: Sequence[str], leading: set[tuple[str, str]]
) -> dict[str, Any]:
    cells = []
    for name in view.summary["metrics"]:
        key = column["name"], name
        real = view.deltas.get(key, {}).get("real", False)
        found = column["metrics"][name]
        cells.append({"found": found, "best": key in leading, "delta": _delta(view, key), "real": real})
    point = [said(column["point"][key]) if key in column["point"] else "" for key in options]
    return {"column": column, "point": point, "cells": cells}


def _delta(view: View, key: tuple[str, str]) -> str:
    found = view.deltas.get(key)
    if found is None:
        return ""
    size = max(abs(found["low"]), abs(found["high"]))
    if size == 0:
        return "no change"
    mean, low, high = (f"{'-' if found[end] < 0 else '+'}{number(abs(found[end]), size)}" for end in _ENDS)
    return f"{mean} ({low} to {high}){', real' if found['real'] else ''}"


def _payload(view: View) -> dict[str, Any]:
    """What the script of the page lists and shows."""
    listing = view.listing
    columns = [{"d": c.dataset, "s": c.subject, "p": at(c.point), "n": c.name} for c in listing.columns]
    known = view.summary["metrics"]
    metrics = [{"n": name, "better": known.get(name, {}).get("better", "higher")} for name in listing.metrics]
    return {
        "runs": view.runs,
        "metrics": metrics,
        "columns": columns,
        "cases": listing.cases,
        "texts": listing.texts,
        "rows": listing.rows,
    }


def _finite(value: Any) -> Any:
    """The value with null for numbers that JSON has no word for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value
