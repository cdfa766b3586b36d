"""The entry point of `ctxeng`: looks whether its own libraries are there, then runs the app."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ctxeng.errors import MissingExtra
from ctxeng.extras import needs


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 failed or problems found, 2 bad input, 130 interrupted."""
    try:
        needs("typer")
        needs("rich")
    except MissingExtra as error:
        print(f"ctxeng: {error}", file=sys.stderr)
        sys.exit(2)
    from ctxeng.cli.app import app  # noqa: PLC0415 - only once typer is known to be there

    app(_debug_first(list(sys.argv[1:] if arguments is None else arguments)), prog_name="ctxeng")


def _debug_first(arguments: list[str]) -> list[str]:
    """The same with `--debug`, wherever it stands, in front, where the app knows it."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    if "--debug" not in arguments[:end]:
        return arguments
    rest = [each for each in arguments[:end] if each != "--debug"]
    return ["--debug", *rest, *arguments[end:]]


if __name__ == "__main__":
    main()
