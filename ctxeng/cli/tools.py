"""`ctxeng tools`: the tools an app can load: listed, searched, checked, and replayed over whole sessions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctxeng.cli.common import JsonFlag, clipped, emit, note, notes, out
from ctxeng.errors import BadInput

if TYPE_CHECKING:
    from ctxeng.settings import App
    from ctxeng.tools.toolset import ToolSet

app = typer.Typer(no_args_is_help=True, help="Tools: list them, search them, check them, replay sessions.")

AppFile = Annotated[Path | None, typer.Option("--app", help="A settings file whose tools are meant.")]
Listed = Annotated[
    list[Path] | None,
    typer.Option("--tools", help="A file of tool schemas, JSON or JSON lines; repeatable."),
]
Servers = Annotated[
    list[Path] | None, typer.Option("--mcp", help="A file of MCP servers (mcpServers); repeatable.")
]
Apis = Annotated[list[Path] | None, typer.Option("--openapi", help="An OpenAPI document; repeatable.")]
_TEXT = 76  # characters of a description in a table


@app.command("index")
def index(
    app_file: AppFile = None,
    tools: Listed = None,
    mcp: Servers = None,
    openapi: Apis = None,
    as_json: JsonFlag = False,
) -> None:
    """Read every server, and say what it offers and what its schemas cost.

    Example: [bold]ctxeng tools index --mcp mcp.json[/bold]

    With an encoder installed, the tools' vectors are made and remembered, so that the first turn is fast.
    """
    with _opened(_app(app_file, tools, mcp, openapi)) as (opened, kit):
        prices = _prices(opened, kit)
        if len(kit.catalogue):
            kit.catalogue.scores(["warm"])
        rows = [
            {"server": server, "tools": len(names), "tokens": sum(prices[name] for name in names)}
            for server, names in kit.catalogue.servers().items()
        ]
        problems = dict(_providers(opened).problems)
    if as_json:
        emit({"servers": rows, "tokens": sum(prices.values()), "problems": problems})
    else:
        _print(("server", "tools", "tokens"), [(r["server"], r["tools"], r["tokens"]) for r in rows])
        out().print(f"\n{len(prices)} tools, {sum(prices.values()):,} tokens if all were shown")
    for server, why in problems.items():
        note(f"{server}: {why}")
    if problems:
        raise typer.Exit(1)


@app.command("search")
def search(
    query: Annotated[str, typer.Argument(help="What a tool is needed for.")],
    *,
    app_file: AppFile = None,
    tools: Listed = None,
    mcp: Servers = None,
    openapi: Apis = None,
    count: Annotated[int, typer.Option("-k", help="How many tools.", min=1)] = 5,
    as_json: JsonFlag = False,
) -> None:
    """The tools that fit a request best, with their scores and what their schemas cost.

    Example: [bold]ctxeng tools search "file a bug" --mcp mcp.json -k 3[/bold]
    """
    from ctxeng.turn import Request, user  # noqa: PLC0415 - pydantic

    with _opened(_app(app_file, tools, mcp, openapi)) as (opened, kit):
        request = Request(query=user(query))
        best = kit.ranked(request, kit.working(request)).best(count)
        prices = _prices(opened, kit)
        found = [
            {
                "name": name,
                "server": kit.catalogue[name].server,
                "score": score,
                "tokens": prices[name],
                "description": kit.catalogue[name].description,
            }
            for name, score in best
        ]
    if as_json:
        emit(found)
        return
    rows = [
        (f"{one['score']:.2f}", one["name"], one["server"], one["tokens"], _line(str(one["description"])))
        for one in found
    ]
    _print(("score", "tool", "server", "tokens", "description"), rows)


@app.command("lint")
def lint(
    *,
    app_file: AppFile = None,
    tools: Listed = None,
    mcp: Servers = None,
    openapi: Apis = None,
    as_json: JsonFlag = False,
) -> None:
    """Check a catalogue: texts that give the model orders, names that clash, schemas that are no good.

    Example: [bold]ctxeng tools lint --mcp mcp.json[/bold] (exit code 1 where there are errors)

    Nothing found is no proof: patterns miss orders that are worded with care. Read what you connect.
    """
    from ctxeng.tools.lint import lint as linted  # noqa: PLC0415 - jsonschema
    from ctxeng.tools.lint_hidden import shown  # noqa: PLC0415

    with _opened(_app(app_file, tools, mcp, openapi)) as (opened, kit):
        given = [tool for server in _providers(opened).servers for tool in server.tools()]
        findings = linted(given)
        size = len(kit.catalogue)
    if as_json:
        emit([asdict(each) for each in findings])
    else:
        for each in findings:
            where = f"{each.server}/{each.tool}" if each.server else each.tool
            out().print(f"{each.level}: {shown(where)}: {each.rule}: {shown(each.message)}", soft_wrap=True)
        errors = sum(each.level == "error" for each in findings)
        note(f"{size} tools: {errors} errors, {len(findings) - errors} other findings")
    if any(each.level == "error" for each in findings):
        raise typer.Exit(1)


@app.command("simulate")
def simulate(
    turns: Annotated[Path, typer.Argument(help="Turns, one JSON object a line: request, needs, session.")],
    *,
    app_file: AppFile = None,
    tools: Listed = None,
    mcp: Servers = None,
    openapi: Apis = None,
    mode: Annotated[str | None, typer.Option(help="autonomous, workflow, hybrid or guided.")] = None,
    cap: Annotated[int | None, typer.Option(help="The most tools that are loaded.", min=1)] = None,
    tokens: Annotated[int, typer.Option(help="Tokens that tools may take.", min=1)] = 100_000,
    each: Annotated[bool, typer.Option("--each", help="A line for every turn, too.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Replay recorded sessions: were the needed tools loaded, at what price, how often did the block change.

    Example: [bold]ctxeng tools simulate turns.jsonl --app support.yaml --cap 8[/bold]

    No model is called: where the mode lets the model search, it is taken to search once, with the
    request's words, whenever it lacks a tool that it needs.
    """
    from ctxeng.tools.simulate import read_sessions, replay, summary  # noqa: PLC0415 - numpy

    asked = read_sessions(turns)
    with _opened(_app(app_file, tools, mcp, openapi, mode=mode, cap=cap)) as (opened, kit):
        seen = list(replay(kit, asked, opened.models.role("answer").price, tokens))
    found = summary(seen)
    if as_json:
        emit({"summary": asdict(found), "turns": [asdict(one) for one in seen] if each else []})
        return
    if each:
        rows = [
            (one.session, one.loaded, one.added, one.removed, one.tokens, "yes" if one.present else "NO")
            for one in seen
        ]
        _print(("session", "loaded", "added", "removed", "tokens", "needed tools there"), rows)
    out().print(
        f"{found.turns} turns: all needed tools loaded in {found.present:.1%}, {found.share:.1%} of them\n"
        f"{found.loaded:.1f} tools, {found.tokens:,.0f} tokens a turn; changed in {found.changed:.0%}\n"
        f"the same block byte for byte in {found.same:.1%} of {found.calm} turns whose need did not change\n"
        f"removed over added in 3 turns {found.removal_ratio:.1%}; loaded again {found.readds:.2f} a session"
    )


def _app(
    path: Path | None,
    tools: list[Path] | None,
    mcp: list[Path] | None,
    openapi: list[Path] | None,
    **options: Any,  # of the tools in the settings file
) -> App:
    """The app of the file, or a bare one with these servers."""
    from ctxeng.settings import App, read  # noqa: PLC0415 - half a second
    from ctxeng.settings_schema import Settings, overridden  # noqa: PLC0415

    kinds = {"tools": tools, "mcp": mcp, "openapi": openapi}
    servers = [{kind: str(each.resolve())} for kind, paths in kinds.items() for each in paths or ()]
    if (path is None) == (not servers):
        raise BadInput("give --app, or servers by --tools, --mcp and --openapi")
    changed = {f"context.sources.tools.{name}": value for name, value in options.items() if value is not None}
    if servers:
        changed["context.sources.tools.servers"] = servers
    return App(path or Path("run.yaml"), overridden(read(path) if path else Settings(), changed))


@contextmanager
def _opened(opened: App) -> Iterator[tuple[App, ToolSet]]:
    """The app and its tools, read from every server. Raises BadInput where it names none."""
    kit = opened.toolkit
    if kit.tools is None or kit.providers is None:
        raise BadInput(
            f"{opened.path}: it names no tool servers; add "
            "`context: {sources: {tools: {from: [{mcp: ./mcp.json}]}}}`"
        )
    try:
        with notes().status("reading tool servers ..."):
            kit.providers.refresh()
        yield opened, kit.tools
    finally:
        kit.close()


def _providers(opened: App) -> Any:
    return opened.toolkit.providers


def _prices(opened: App, kit: ToolSet) -> dict[str, int]:
    """What each tool's schema costs in the answering model's prompt."""
    from ctxeng.turn import Section  # noqa: PLC0415 - pydantic

    price = opened.models.role("answer").price
    return {tool.name: price(Section(kind="tool", source="tools", body=tool)) for tool in kit.catalogue}


def _print(heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    from ctxeng.cli.tables import cells, simple_table  # noqa: PLC0415 - rich tables

    right = tuple(
        head for head in heads if head in {"score", "tools", "tokens", "loaded", "added", "removed"}
    )
    table = simple_table(*heads, right=right)
    for row in rows:
        table.add_row(*(cells(cell, _TEXT) for cell in row))
    out().print(table)


def _line(text: str) -> str:
    return clipped(" ".join(text.split()), _TEXT)
