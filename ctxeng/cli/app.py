"""The commands in one app, and what happens when one of them fails."""

from __future__ import annotations

import errno
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ctxeng.cli import bench, chunks, doctor, evaluate, learn, memory, playbook, run, serve, tools
from ctxeng.cli.common import complain
from ctxeng.errors import BadInput, CtxengError

INTERRUPTED = 130


class Commands(TyperGroup):
    """Commands whose failures are one clear line; `--debug` shows where they come from."""

    def invoke(self, ctx: Any) -> Any:
        """The command's outcome; what went wrong becomes a message and an exit code."""
        if ctx.params.get("debug"):
            return super().invoke(ctx)
        try:
            return super().invoke(ctx)
        except CtxengError as error:
            complain(str(error))
            raise typer.Exit(2 if isinstance(error, BadInput) else 1) from error
        except KeyboardInterrupt as error:
            complain("interrupted")
            raise typer.Exit(INTERRUPTED) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever read our output has enough of it
                raise
            complain(str(error))
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        from ctxeng import __version__  # noqa: PLC0415 - nothing else needs it

        print(f"ctxeng {__version__}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error instead of one line.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Decide what goes into a language model's window, and learn from what came out.

    Start with: [bold]ctxeng doctor[/bold], then [bold]ctxeng learn my.yaml tasks.jsonl[/bold]

    Every command takes --json. Exit codes: 0 done, 1 failed or problems found, 2 bad input, 130 interrupted.
    """


app.command("run")(run.run)
app.command("learn")(learn.learn)
app.command("serve")(serve.serve)
app.add_typer(playbook.app, name="playbook")
app.add_typer(chunks.app, name="chunks")
app.add_typer(tools.app, name="tools")
app.add_typer(memory.app, name="memory")
app.add_typer(evaluate.app, name="eval")
app.command("doctor")(doctor.doctor)
app.command("bench")(bench.bench)
