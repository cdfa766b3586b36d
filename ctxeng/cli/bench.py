"""`ctxeng bench`: figures of ctxeng beside a plain baseline, measured in the same run."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctxeng.cli.common import JsonFlag, emit, notes
from ctxeng.errors import UnknownName

if TYPE_CHECKING:
    from ctxeng_evals.bench.table import Figures

BENCHES = {
    "playbook": "one delta, opening, retrieving, prompt kept after a learning step",
    "orchestrator": "cost of a turn above bare LangGraph nodes, checkpoint bytes",
    "selection": "chunk selectors against brute force, never over budget, milliseconds",
    "search": "searches over one reward on real questions: reward, calls, gold (needs the data folder)",
    "retrieval": "adding to, asking and opening a hybrid index of 100,000 chunks, beside brute force",
    "tools": "tools in whole sessions, under caps and without; milliseconds (needs the data folder)",
    "clipping": "tool results cut by kind beside head and tail, on real transcripts (needs the data folder)",
    "memory": "a long session beside LangChain: coverage, tokens, idle time (needs the data folder)",
    "runtime": "the local runtime beside transformers: its loop, decoding over long caches",
    "runtime-peers": "decoding beside transformers' quantised caches and grouped attention, where installed",
    "reuse": "the second request's first token: seen documents, an edited entry (a quarter of an hour)",
    "recall": "cache methods by right answers, turn by turn, against bytes held and read (minutes)",
    "recall-peers": "the same of kvpress, where it is installed",
    "long-session": "20 turns and 4 forks under a cap: failures, resident memory, a restart from disk",
    "conformal": "coverage of a calibrated threshold on held-out questions (needs the data folder)",
    "graph": "Steiner trees and pruning beside the most similar statements, at equal tokens",
    "collapse": "lessons that survive a real log of rewriting (needs the data folder)",
    "faults": "8 processes writing to one playbook, kill -9 while learning",
    "runner": "cost of an evaluation's runner a case, memory, kill -9, processes and Ray",
    "stream": "learning curve of the onbox default on a dataset (needs the data folder)",
}


def bench(
    name: Annotated[str, typer.Argument(help="One of: " + ", ".join(BENCHES))],
    dataset: Annotated[
        str, typer.Option(help="For stream: finer, metatool:1500, bbh:navigate ...")
    ] = "finer",
    limit: Annotated[int | None, typer.Option(help="For stream: only so many tasks.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the figures to this JSON file, too.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure, and print a table with machine, seed and commit; ratios are of the same run.

    Example: [bold]ctxeng bench playbook[/bold], [bold]ctxeng bench stream --dataset finer[/bold]
    """
    if name not in BENCHES:
        raise UnknownName("bench", name, list(BENCHES))
    with notes().status(f"measuring: {BENCHES[name]} ..."):
        figures = _measure(name, dataset, limit, seed)
    if out is not None:
        from ctxeng.storage.atomic import write_atomic  # noqa: PLC0415

        write_atomic(out, json.dumps(figures.as_json(), indent=1) + "\n")
    if as_json:
        emit(figures.as_json())
    else:
        print(figures.as_text())


def _measure(name: str, dataset: str, limit: int | None, seed: int) -> Figures:
    if name == "stream":
        from ctxeng_evals.bench import streams  # noqa: PLC0415 - langgraph, seconds

        return streams.run(dataset, limit, seed)
    module = importlib.import_module(f"ctxeng_evals.bench.{name.replace('-', '_')}")
    figures: Figures = module.run(seed)
    return figures
