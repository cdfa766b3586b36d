"""python -m ctxeng_kernels bench: each op on each backend, in turns, in one process."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from functools import partial

import torch

from ctxeng_kernels.bench.cases import attention, products, roof
from ctxeng_kernels.bench.report import machine, rows, table
from ctxeng_kernels.bench.timing import Case, in_turns

_SHOWS = "Example: python -m ctxeng_kernels bench --tokens 16384 65536 --rounds 15 --json > figures.json"


def main(arguments: list[str] | None = None) -> None:
    """Run what is asked for, and print it."""
    parser = argparse.ArgumentParser(prog="python -m ctxeng_kernels", description=__doc__, epilog=_SHOWS)
    commands = parser.add_subparsers(dest="command", required=True)
    bench = commands.add_parser("bench", help="time every op against torch and memory", epilog=_SHOWS)
    bench.add_argument("--tokens", type=int, nargs="+", default=[4096, 16384], help="lengths of the cache")
    bench.add_argument("--queries", type=int, nargs="+", default=[1, 16], help="queries a head")
    bench.add_argument("--rows", type=int, nargs="+", default=[1, 4], help="vectors times a packed matrix")
    bench.add_argument("--rounds", type=int, default=9, help="rounds, each backend once in each")
    bench.add_argument("--threads", type=int, default=1, help="threads of torch and of the kernels")
    bench.add_argument("--json", action="store_true", help="JSON on stdout, nothing else there")
    asked = parser.parse_args(arguments)
    wrong = [n for n in asked.tokens if n < 64 or n % 64]  # noqa: PLR2004 - a block
    if wrong:
        parser.error(f"--tokens are multiples of 64, not {wrong[0]}")
    if min(asked.rounds, asked.threads, *asked.queries, *asked.rows) < 1:
        parser.error("--queries, --rows, --rounds and --threads start at 1")
    torch.set_num_threads(asked.threads)
    os.environ["CTXENG_KERNELS_THREADS"] = str(asked.threads)
    _bench(asked)


def _bench(asked: argparse.Namespace) -> None:
    try:
        read = [roof()]
    except RuntimeError as error:
        read = []
        sys.stderr.write(f"no roof: {error}\n")
    jobs: list[Callable[[], list[Case]]] = [partial(products, rows) for rows in asked.rows]
    jobs[:0] = [partial(attention, tokens, count) for tokens in asked.tokens for count in asked.queries]
    found, where = [], machine()
    for cases in jobs:
        timed = in_turns([*cases(), *read], asked.rounds, _progress)
        top = timed.pop() if read else None
        found += rows(timed, top)
        if not asked.json:
            _progress("")
            sys.stdout.write(table(found[-len(timed) :]) + "\n")
            sys.stdout.flush()
    if asked.json:
        json.dump({"machine": where, "rounds": asked.rounds, "rows": found}, sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        sys.stdout.write(", ".join(f"{key} {value}" for key, value in where.items()) + "\n")


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


if __name__ == "__main__":
    main()
