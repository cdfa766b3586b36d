"""`ctxeng chunks`: documents as the app sees them: indexed, searched, and why a piece was chosen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctxeng.cli.common import JsonFlag, clipped, emit, note, out
from ctxeng.errors import BadInput

if TYPE_CHECKING:
    from ctxeng.chunks.explain import Explanation
    from ctxeng.chunks.folder_corpus import FolderCorpus
    from ctxeng.chunks.selector import Choice
    from ctxeng.settings import App

app = typer.Typer(no_args_is_help=True, help="Documents: index them, search them, explain what is chosen.")

Docs = Annotated[
    list[Path] | None,
    typer.Option(
        "--docs", help="A document or a folder of them; repeatable. Text, Markdown, HTML, PDF, code."
    ),
]
AppFile = Annotated[Path | None, typer.Option("--app", help="A settings file whose documents are meant.")]
Query = Annotated[str, typer.Argument(help="The question.")]
_TEXT = 72  # characters of a piece in a table
_LEFT = 10  # pieces that were left out, in a table


@app.command("index")
def index(docs: Docs = None, app_file: AppFile = None, as_json: JsonFlag = False) -> None:
    """Split and index documents, and say what was passed over and why.

    Example: [bold]ctxeng chunks index --app support.yaml[/bold]

    With --docs alone nothing is kept: it shows what an app would see.
    """
    from dataclasses import replace  # noqa: PLC0415 - with what it serves

    skipped: list[tuple[str, str]] = []
    folder = replace(_corpus(_app(docs, app_file)), on_skip=lambda *each: skipped.append(each))
    corpus, synced = folder.opened(again=True)
    corpus.close()
    assert synced is not None
    if as_json:
        emit({**vars(synced), "skipped": [{"path": path, "why": why} for path, why in skipped]})
        return
    for path, why in skipped:
        note(f"passed over {path}: {why}")
    total = synced.added + synced.kept
    out().print(f"{synced.documents} documents, {total} chunks: {synced.added} new, {synced.removed} removed")


@app.command("search")
def search(
    query: Query,
    docs: Docs = None,
    app_file: AppFile = None,
    count: Annotated[int, typer.Option("-k", help="How many chunks.", min=1)] = 5,
    as_json: JsonFlag = False,
) -> None:
    """The chunks nearest to a question, by words and meaning.

    Example: [bold]ctxeng chunks search "refund deadline" --docs policies/ -k 3[/bold]
    """
    with _opened(_corpus(_app(docs, app_file))) as corpus:
        found = corpus.search(query, count)
    if as_json:
        emit(found)
        return
    for chunk in found:
        out().print(f"{chunk.id}  {clipped(chunk.title, _TEXT)}", style="bold", soft_wrap=True)
        out().print(f"  {clipped(chunk.text, 2 * _TEXT)}", soft_wrap=True)


@app.command("explain")
def explain(
    query: Query,
    *,
    docs: Docs = None,
    app_file: AppFile = None,
    tokens: Annotated[int, typer.Option(help="Tokens that may be spent.", min=1)] = 512,
    select: Annotated[
        str | None, typer.Option(help="top_k, mmr, greedy, knapsack, gradient or mcts.")
    ] = None,
    reward: Annotated[str | None, typer.Option(help="additive or coverage.")] = None,
    rank: Annotated[str | None, typer.Option(help="learned, bridging or hybrid.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Draw the search tree here (select: mcts).")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Why each piece of the documents was taken or left for a question: score, gain, cost, links.

    Example: [bold]ctxeng chunks explain "Who pays?" --docs policies/ --select mcts --svg tree.svg[/bold]
    """
    from ctxeng.chunks import explain as explaining  # noqa: PLC0415 - numpy
    from ctxeng.chunks.named import reward_named  # noqa: PLC0415

    opened = _app(docs, app_file, select=select, reward=reward, rank=rank)
    choice = _choice(opened, query, tokens)
    found = explaining.explain(choice, tokens, reward_named(opened.settings.context.sources.chunks.reward))
    if svg is not None:
        _draw(choice, svg)
    if as_json:
        emit({**vars(found), "order": [choice.pool.chunks[place].id for place in choice.arranged]})
        return
    _table(found)


def _app(docs: list[Path] | None, path: Path | None, **chunks: str | None) -> App:
    """The app of the file, or a bare one that reads these documents and keeps no index."""
    from ctxeng.settings import App, read  # noqa: PLC0415 - half a second
    from ctxeng.settings_schema import Settings, overridden  # noqa: PLC0415

    if (path is None) == (not docs):
        raise BadInput("give either --docs or --app")
    options: dict[str, Any] = {f"context.sources.chunks.{name}": value for name, value in chunks.items()}
    if docs:
        options |= {
            "context.sources.chunks.documents": [str(each.resolve()) for each in docs],
            "context.sources.chunks.index": "memory",
        }
    settings = overridden(read(path) if path else Settings(), options)
    if not settings.context.sources.chunks.documents:
        raise BadInput(
            f"{path}: it names no documents; add `context: {{sources: {{chunks: {{from: ./docs}}}}}}`"
        )
    return App(path or Path("run.yaml"), settings)


def _corpus(opened: App) -> FolderCorpus:
    from ctxeng.settings_chunks import folder_corpus  # noqa: PLC0415 - numpy

    chunks = opened.settings.context.sources.chunks
    return folder_corpus(chunks, opened.path.parent, opened.local_encoder)


def _opened(folder: FolderCorpus) -> Any:
    from contextlib import closing  # noqa: PLC0415

    return closing(folder.open())


def _choice(opened: App, query: str, tokens: int) -> Choice:
    from ctxeng.chunks.source import ChunkSource  # noqa: PLC0415 - numpy
    from ctxeng.protocols import Allowance  # noqa: PLC0415
    from ctxeng.turn import Request, user  # noqa: PLC0415

    source = opened.sources["chunks"]
    assert isinstance(source, ChunkSource)
    allowance = Allowance(tokens, opened.models.role("answer").price)
    return source.choose(Request(query=user(query)), allowance)


def _draw(choice: Choice, path: Path) -> None:
    from ctxeng.search.draw import drawing  # noqa: PLC0415 - only where it is asked for
    from ctxeng.search.tree import Found  # noqa: PLC0415
    from ctxeng.storage.atomic import write_atomic  # noqa: PLC0415

    found = choice.selection.trace
    if not isinstance(found, Found):
        raise BadInput("--svg draws a search tree: give --select mcts too")

    def text(place: int) -> str:
        return choice.pool.chunks[place].text

    write_atomic(path, drawing(found, lambda place: clipped(text(place), _TEXT), text))
    note(f"drawn: {path}")


def _table(found: Explanation) -> None:
    from ctxeng.cli.tables import simple_table  # noqa: PLC0415 - rich tables

    table = simple_table(
        "", "rank", "score", "gain", "tokens", "piece", right=("rank", "score", "gain", "tokens")
    )
    left = [reason for reason in found.reasons if not reason.taken]
    for reason in [*(reason for reason in found.reasons if reason.taken), *left[:_LEFT]]:
        where = clipped(reason.title, _TEXT // 2)
        via = f" (reached from {reason.linked_from})" if reason.linked_from else ""
        why = "" if reason.taken else f" - {reason.why}"
        table.add_row(
            "+" if reason.taken else "-",
            str(reason.rank),
            f"{reason.relevance:.3f}",
            f"{reason.gain:+.3f}",
            str(reason.cost),
            f"{where}: {clipped(reason.text, _TEXT)}{via}{why}",
        )
    out().print(table)
    more = f", {len(left) - _LEFT} more left" if len(left) > _LEFT else ""
    calls = f", {found.calls} sets valued" if found.calls else ""
    out().print(f"\n{found.spent} of {found.tokens} tokens, worth {found.reward:.3f}{calls}{more}")
    if found.note:
        note(found.note)
