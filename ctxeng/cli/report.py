"""What a run of `ctxeng learn` came to: as JSON, and for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.syntax import Syntax
from rich.text import Text

from ctxeng.cli.common import out, plain
from ctxeng.cli.deltas import counted, counts
from ctxeng.cli.runs import Run
from ctxeng.cli.session import Outcome, Session
from ctxeng.cli.tables import parts, score, simple_table, sparkline, usage_table
from ctxeng.playbook.book import Playbook
from ctxeng.playbook.diff import text_diff
from ctxeng.train import Report
from ctxeng.turn import Usage

_DIFF_LINES = 40
_SPARKS = 40
_EXAMPLES = 3  # of failures of one kind


def summarized(session: Session, run: Run, outcome: Outcome) -> dict[str, Any]:
    """All figures of a run, as JSON."""
    report, count = outcome.report, session.learning.count
    failed = [each for each in report.scored if each.error]
    return {
        "run": run.id,
        "playbook": str(session.path),
        "mode": session.mode,
        "tasks": len(session.tasks),
        "answered": len(report.scored),
        "failed": len(failed),
        "seconds": round(outcome.seconds, 2),
        "accuracy": report.accuracy,
        "curve": report.curve(),
        "before": _accuracy(outcome.before),
        "validations": [{"version": version, "accuracy": mean} for version, mean in report.validations],
        "best": report.best,
        "entries": {"before": len(outcome.old.own), "after": len(outcome.new.own)},
        "tokens": {"before": _tokens(outcome.old, count), "after": _tokens(outcome.new, count)},
        "version": {"before": outcome.old.version, "after": outcome.new.version},
        "applied": counts(outcome.seen.deltas),
        "refused": list(report.refused),
        "failures": list(report.failures),
        "errors": dict(Counter(each.error for each in failed).most_common()),
        "usage": {role: usage.model_dump() for role, usage in report.usage.items()},
    }


def show(outcome: Outcome, summary: dict[str, Any], *, whole_diff: bool, picture: Path | None) -> None:
    """The same for people, with what changed in the playbook."""
    console = out()
    console.print(_scores(outcome.report, outcome.before))
    scores = [each.score for each in outcome.report.scored if each.score is not None]
    line = Text(f"learning curve  {sparkline(parts(scores, _SPARKS), top=1.0)}")
    console.print(line)
    console.print()
    for validation in summary["validations"]:
        console.print(f"validation  {validation['version']}  {score(validation['accuracy'])}")
    if summary["best"]:
        console.print(f"kept        {summary['best']}, the best on validation")
    entries, tokens = summary["entries"], summary["tokens"]
    console.print(
        f"entries {entries['before']:,} → {entries['after']:,}   "
        f"tokens of all entries {tokens['before']:,} → {tokens['after']:,}   "
        f"deltas: {counted(summary['applied'])}"
    )
    console.print()
    console.print(
        usage_table({role: Usage.model_validate(usage) for role, usage in summary["usage"].items()})
    )
    _show_trouble(summary)
    show_diff(text_diff(outcome.old, outcome.new), whole=whole_diff)
    console.print()
    if picture is not None:
        console.print(f"curve: {picture}", soft_wrap=True)
    if outcome.old.version != outcome.new.version:
        back = f"ctxeng playbook rollback {summary['playbook']} {outcome.old.version}"
        console.print(f"take it all back: {back}", soft_wrap=True)


def show_diff(diff: str, *, whole: bool) -> None:
    """A unified diff in colour; beyond forty lines only its beginning, and how much there is."""
    lines = plain(diff).splitlines()
    console = out()
    shown = lines if whole else lines[:_DIFF_LINES]
    if lines:
        console.print()
    if console.is_terminal:
        if shown:
            console.print(Syntax("\n".join(shown), "diff", theme="ansi_dark", background_color="default"))
    else:
        console.print("\n".join(shown), soft_wrap=True)
    if len(shown) < len(lines):
        console.print(f"... {len(lines) - len(shown):,} more lines; --diff shows all of them", style="dim")


def _scores(report: Report, before: Report | None) -> Any:
    fifths = report.curve()
    columns = ["all", *(f"{number}/{len(fifths)}" for number in range(1, len(fifths) + 1))]
    table = simple_table("score", *columns, right=columns)
    if before is not None:
        table.add_row("before", score(before.accuracy), *map(score, before.curve()))
    table.add_row("now", score(report.accuracy), *map(score, fifths), style="bold")
    if before is not None and before.accuracy is not None and report.accuracy is not None:
        pairs = [(report.accuracy, before.accuracy), *zip(fifths, before.curve(), strict=False)]
        table.add_row("gain", *(f"{new - old:+.3f}" for new, old in pairs), style="green")
    return table


def _show_trouble(summary: dict[str, Any]) -> None:
    """What did not go as it should: counted, and the first of each shown."""
    console = out()
    errors: dict[str, int] = summary["errors"]
    if errors:
        console.print(f"\n{summary['failed']:,} tasks failed", style="red")
        for error, number in list(errors.items())[:_EXAMPLES]:
            console.print(f"  {number:,} x {plain(error)}")
    for name, what in (("failures", "failures while learning"), ("refused", "deltas refused")):
        found: Sequence[str] = summary[name]
        if found:
            console.print(f"\n{len(found):,} {what}", style="red")
            for text, number in Counter(found).most_common(_EXAMPLES):
                console.print(f"  {number:,} x {plain(text)}")


def _tokens(playbook: Playbook, count: Callable[[str], int]) -> int:
    return sum(count(f"{entry.when} {entry.text}") for entry in playbook.own)


def _accuracy(report: Report | None) -> dict[str, Any] | None:
    return None if report is None else {"accuracy": report.accuracy, "curve": report.curve()}
