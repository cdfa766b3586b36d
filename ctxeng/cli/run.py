"""`ctxeng run`: one question, answered, and the window it was answered from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctxeng.cli.common import JsonFlag, emit, note, out, plain
from ctxeng.errors import BadInput

if TYPE_CHECKING:
    from ctxeng.orchestrator import Orchestrator
    from ctxeng.settings import App
    from ctxeng.turn import Request, Turn, Want


def run(
    question: Annotated[str, typer.Argument(help="What to ask; - reads it from stdin.")],
    *,
    app: Annotated[Path | None, typer.Option(help="A settings file, with its playbook.")] = None,
    model: Annotated[
        str | None, typer.Option(help="onbox, cassette:FILE, or <provider>/<model> [default: onbox].")
    ] = None,
    docs: Annotated[
        list[Path] | None,
        typer.Option(
            "--docs", "--doc", help="A document or a folder of them; repeatable. Also HTML, PDF, code."
        ),
    ] = None,
    tools: Annotated[Path | None, typer.Option(help="A JSON list of tool schemas.")] = None,
    choice: Annotated[list[str] | None, typer.Option(help="One of the possible answers; repeatable.")] = None,
    schema: Annotated[Path | None, typer.Option(help="A JSON Schema that the answer has to fit.")] = None,
    window: Annotated[str | None, typer.Option(help="Tokens of the window, for example 8k.")] = None,
    session: Annotated[
        str, typer.Option(help="The session that this goes on with, where memory has a store.")
    ] = "",
    who: Annotated[str, typer.Option("--user", help="Whose session it is.")] = "",
    show_prompt: Annotated[bool, typer.Option(help="Show the prompt as the model got it.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Answer one question, and show what stood in the window.

    Example: [bold]ctxeng run "When can I return a book?" --docs policies/[/bold]

    Or choose: [bold]ctxeng run "The card was charged twice" --choice billing --choice login[/bold]

    Without --app there is no playbook, and the model is onbox: it quotes or chooses, offline.

    Go on with a session: [bold]ctxeng run "And on Sundays?" --app my.yaml --session monday[/bold]

    Tools are offered to the model; what it calls is shown, and nothing is run.
    """
    want = _want(choice or [], schema)
    request = _request(question, tools, session, who)
    opened = _app(app, model, window, docs or [])
    with _orchestrator(opened, has_playbook=app is not None) as orchestrator:
        if as_json:
            emit(_document(opened, orchestrator.invoke(request, want=want), show_prompt))
            return
        turn = _streamed(orchestrator, request, want)
        _show(opened, turn, show_prompt)


def _app(path: Path | None, model: str | None, window: str | None, docs: list[Path]) -> App:
    """The app of the file, or a default one without a playbook."""
    from ctxeng.settings import App, read  # noqa: PLC0415 - half a second
    from ctxeng.settings_schema import GraphSettings, Settings, overridden  # noqa: PLC0415

    options: dict[str, Any] = {"models.answer": model, "context.window": window}
    if docs:
        options["context.sources.chunks.documents"] = [str(each.resolve()) for each in docs]
        options["context.sources.chunks.index"] = "memory"
    if path is not None:
        return App(path, overridden(read(path), options))
    bare = Settings(graph=GraphSettings(without=("playbook",)))
    return App(Path("run.yaml"), overridden(bare, options))


def _orchestrator(app: App, *, has_playbook: bool) -> Orchestrator:
    from dataclasses import replace  # noqa: PLC0415 - with what it serves

    from ctxeng.extras import needs  # noqa: PLC0415

    needs("langgraph")
    from ctxeng.orchestrator import Orchestrator  # noqa: PLC0415 - langgraph takes a second

    if has_playbook:
        made = app.orchestrator()
        return replace(made, without=made.without | {"act"})  # there is nothing here that could run a call
    return Orchestrator(app.steps, app.log, without=frozenset({"act"}), closing=[app.boxes.close])


def _want(choices: list[str], schema: Path | None) -> Want | None:
    from ctxeng.cli.documents import read_schema  # noqa: PLC0415 - pydantic takes a tenth of a second
    from ctxeng.turn import Choice, Choices, Schema  # noqa: PLC0415

    if choices and schema is not None:
        raise BadInput("--choice and --schema exclude each other")
    if len(choices) == 1:
        raise BadInput("--choice: give two or more to choose from")
    if schema is not None:
        return Schema(json_schema=read_schema(schema))
    return Choices(options=tuple(Choice(value=each) for each in dict.fromkeys(choices))) if choices else None


def _request(question: str, tools: Path | None, session: str, who: str) -> Request:
    from ctxeng.cli.documents import read_tools  # noqa: PLC0415 - as above
    from ctxeng.turn import Request, Scope, user  # noqa: PLC0415

    asked = sys.stdin.read() if question == "-" else question
    if not asked.strip():
        raise BadInput("the question is empty")
    return Request(
        query=user(asked.strip()),
        tools=read_tools(tools) if tools else (),
        scope=Scope(user=who, session=session),
    )


def _streamed(orchestrator: Orchestrator, request: Request, want: Want | None) -> Turn:
    """The finished turn; its text is printed as it comes."""
    from ctxeng.turn import Turn  # noqa: PLC0415 - as above

    finished: Turn | None = None
    for item in orchestrator.stream(request, want=want):
        if isinstance(item, Turn):
            finished = item
        elif item.type == "text":
            sys.stdout.write(plain(item.text))
            sys.stdout.flush()
    sys.stdout.write("\n")
    assert finished is not None
    return finished


def _show(app: App, turn: Turn, show_prompt: bool) -> None:
    from ctxeng.cli.tables import usage_table, window_table  # noqa: PLC0415 - rich tables

    console = out()
    answer = turn.answer
    for call in answer.calls if answer else ():
        console.print(f"calls {call.name}({call.malformed or call.arguments})")
    for said in answer.notes if answer else ():
        note(said)
    if answer and answer.finish != "stop" and not answer.calls:
        note(f"the answer ended early: {answer.finish}")
    if show_prompt:
        console.print("\nprompt", style="bold")
        console.print(plain(_prompt(app, turn).text), soft_wrap=True)
    console.print()
    console.print(window_table(turn.context, answer.cited if answer else ()))
    console.print()
    console.print(usage_table(turn.usage))


def _document(app: App, turn: Turn, show_prompt: bool) -> dict[str, Any]:
    """The turn as JSON."""
    answer, context = turn.answer, turn.context
    assert answer is not None
    document: dict[str, Any] = {
        "turn": turn.id,
        "answer": answer.text,
        "parsed": answer.parsed,
        "finish": answer.finish,
        "calls": answer.calls,
        "cited": answer.cited,
        "attribution": answer.attribution,
        "model": answer.model,
        "notes": answer.notes,
        "usage": turn.usage,
        "window": {
            "tokens": context.tokens,
            "limit": context.limit,
            "spent": context.spent,
            "sections": [
                section.model_dump(include={"kind", "source", "ref", "tokens", "trust"})
                for section in context.sections
            ],
        },
    }
    if show_prompt:
        prompt = _prompt(app, turn)
        document["prompt"] = {"messages": prompt.messages, "tools": prompt.tools}
    return document


def _prompt(app: App, turn: Turn) -> Any:
    from ctxeng.render import chat  # noqa: PLC0415 - as above

    return chat(turn.context, app.models.role("answer").layout)
