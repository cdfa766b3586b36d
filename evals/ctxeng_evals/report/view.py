"""Everything that a report shows, as plain data: figures, breakdowns, curves, rows."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ctxeng.errors import BadInput
from ctxeng_evals.criteria import compared
from ctxeng_evals.plan import Plan
from ctxeng_evals.report.breakdown import Breakdown, Curve, breakdowns, curves
from ctxeng_evals.report.figures import Judged
from ctxeng_evals.report.rows import Listing, Side, listing
from ctxeng_evals.run import SUMMARY, read_header
from ctxeng_evals.summary import gathered, summarized

Deltas = Mapping[tuple[str, str], Mapping[str, Any]]  # by column and metric


@dataclass(frozen=True)
class View:
    """What a report shows. Of two runs, `runs` names the older one first; figures are the newer's."""

    title: str
    about: str
    facts: tuple[str, ...]
    notes: tuple[str, ...]
    runs: tuple[str, ...]
    criteria: tuple[tuple[str, bool], ...]
    summary: Mapping[str, Any]
    deltas: Deltas
    breakdowns: tuple[Breakdown, ...]
    curves: tuple[Curve, ...]
    listing: Listing


def view_of(
    run: Path,
    plan: Plan,
    *,
    other: tuple[Path, Plan] | None = None,
    criteria: Sequence[Judged] = (),
    detail_bytes: int = 8_000_000,
) -> View:
    """The report of the run in this folder, beside an older run `other` where one is given.

    Questions, answers and windows are held for the worst rows first, until they take `detail_bytes`.
    Raises BadInput where a folder is no run's.
    """
    header = read_header(run)
    side = Side(run, plan)
    sides = [Side(*other), side] if other is not None else [side]
    found = listing(sides, detail_bytes)
    summary, notes = _summary(side)
    return View(
        title=plan.suite.suite,
        about=plan.suite.about,
        facts=_facts(header, summary, plan),
        notes=(*notes, *_changed(header, plan), *_notes(found)),
        runs=_names(sides),
        criteria=tuple((each.text, each.ok) for each in criteria),
        summary=summary,
        deltas=_deltas(sides[0], side) if other is not None else {},
        breakdowns=breakdowns(side),
        curves=curves(side),
        listing=found,
    )


def _summary(side: Side) -> tuple[Mapping[str, Any], list[str]]:
    try:
        found: Mapping[str, Any] = json.loads((side.folder / SUMMARY).read_bytes())
    except (OSError, ValueError):
        log = side.records
        said = "The run is not complete: the figures are those of the cases that it has finished so far."
        return summarized(side.plan, log.records(), log.seconds()), [said]
    return found, []


def _facts(header: Mapping[str, Any], summary: Mapping[str, Any], plan: Plan) -> tuple[str, ...]:
    machine = summary.get("machine") or header.get("machine") or {}
    cores, python = machine.get("cores"), machine.get("python")
    facts = [
        machine.get("date", ""),
        " ".join(filter(None, (machine.get("system"), machine.get("cpu"), cores and f"with {cores} cores"))),
        f"Python {python}" if python else "",
        f"ctxeng {summary['version']}" if summary.get("version") else "",
        f"commit {machine['commit']}" if machine.get("commit") else "",
        f"seed {plan.suite.seed}",
        f"{plan.suite.split.part} split" if plan.suite.split.part != "all" else "",
        f"first {plan.limit:,} cases" if plan.limit else "",
        f"only cases like {plan.only}" if plan.only else "",
    ]
    return tuple(filter(None, facts))


def _changed(header: Mapping[str, Any], plan: Plan) -> list[str]:
    """A word on files that are others than when the run was made; that they are gone is said elsewhere."""
    with contextlib.suppress(BadInput):
        if header.get("fingerprint") != plan.fingerprint:
            return ["The suite's files have changed since this run: questions and texts here may be others."]
    return []


def _notes(found: Listing) -> list[str]:
    notes = []
    if found.missing:
        names = ", ".join(found.missing)
        notes.append(
            f"The cases of {names} cannot be opened any more: their questions, targets and texts are missing "
            "here, and what the results hold is shown."
        )
    if len(found.rows) < found.total:
        notes.append(f"The {len(found.rows):,} worst of {found.total:,} rows are listed.")
    if found.detailed < len(found.rows):
        notes.append(
            f"The {found.detailed:,} worst rows have question, answer and window; the other "
            f"{len(found.rows) - found.detailed:,} have scores and the composition of the window, to keep "
            "this file small."
        )
    return notes


def _names(sides: Sequence[Side]) -> tuple[str, ...]:
    names = tuple(side.folder.resolve().name for side in sides)
    return ("before", "after") if len(set(names)) < len(names) else names


def _deltas(first: Side, second: Side) -> Deltas:
    """The paired differences of every column and metric that both runs have."""
    tallies = [gathered(side.plan, side.records.records(), {}) for side in (first, second)]
    places = {column.name: place for place, column in enumerate(first.plan.columns)}
    metrics = [name for name in second.plan.suite.metrics if name in first.plan.suite.metrics]
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for place, column in enumerate(second.plan.columns):
        if column.name not in places:
            continue
        pair = tallies[0][places[column.name]], tallies[1][place]
        for name, each in compared(metrics, *pair, second.plan.suite.seed).items():
            if each is not None:
                found[column.name, name] = {**asdict(each.estimate), "real": each.real}
    return found
