"""Documents, tools and schemas from files, as a request brings them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ctxeng.cli.common import read_json, read_text
from ctxeng.errors import BadInput
from ctxeng.tokens import Estimate
from ctxeng.turn import Chunk, Tool

SUFFIXES = (".md", ".markdown", ".rst", ".txt")  # of the files that are read out of a folder
_MOST = 250  # tokens of a chunk, estimated
_PARAGRAPH = re.compile(r"\S(?:.|\n(?![ \t]*\n))*")
_SENTENCE = re.compile(r"\S.*?(?:[.!?](?=\s)|\n|\Z)", re.DOTALL)
_HEADING = re.compile(r"#{1,6}\s+(.+)")
_count = Estimate().count


def read_documents(paths: Sequence[Path]) -> tuple[Chunk, ...]:
    """Every file's chunks, in order; of a folder, those of its text files. Raises BadInput."""
    chunks: list[Chunk] = []
    taken: set[str] = set()
    for path in paths:
        for file in _files(path):
            name = str(file.relative_to(path)) if path.is_dir() else file.name
            ref = re.sub(r"[^\w./-]", "-", name)
            ref = next(each for each in (ref, *(f"{ref}-{n}" for n in range(2, 10_000))) if each not in taken)
            taken.add(ref)
            chunks += split_document(read_text(file), ref, str(file))
    return tuple(chunks)


def split_document(text: str, name: str, source: str = "") -> list[Chunk]:
    """Paragraphs put together up to a few hundred tokens; a heading opens a new chunk and is its title."""
    chunks: list[Chunk] = []
    numbers = count(1)
    title = ""
    for start, end in _spans(text):
        body = text[start:end]
        heading = _HEADING.match(body)
        title = heading[1].splitlines()[0].strip() if heading else title
        chunks.append(
            Chunk(
                id=f"{name}#{next(numbers)}",
                text=body,
                source=source or name,
                title=f"{name}: {title}" if title else name,
                start=start,
                end=end,
            )
        )
    return chunks


def read_tools(path: Path) -> tuple[Tool, ...]:
    """Tool schemas from a JSON list: our own form, OpenAI's, or MCP's. Raises BadInput naming the tool."""
    raw = read_json(path)
    raw = raw.get("tools", raw) if isinstance(raw, dict) else raw
    if not isinstance(raw, list) or not raw:
        raise BadInput(f'{path}: not a list of tools, such as [{{"name": "search", "parameters": {{...}}}}]')
    tools = [_tool(path, number, each) for number, each in enumerate(raw, 1)]
    for number, tool in enumerate(tools, 1):
        if any(tool.name == other.name for other in tools[: number - 1]):
            raise BadInput(f"{path}: tool {number}: the name {tool.name!r} is given twice")
    return tuple(tools)


def read_schema(path: Path) -> dict[str, Any]:
    """A JSON Schema. Raises BadInput."""
    raw = read_json(path)
    if not isinstance(raw, dict):
        raise BadInput(f"{path}: a JSON Schema is an object, this is {type(raw).__name__}")
    return raw


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    visible = [
        file for file in files if not any(part.startswith(".") for part in file.relative_to(path).parts)
    ]
    if not visible:
        raise BadInput(f"{path}: no documents in this folder; read are {', '.join(SUFFIXES)} files")
    return visible


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Where each chunk starts and ends."""
    held: tuple[int, int] | None = None
    for start, end in _pieces(text):
        fits = held is not None and _count(text[held[0] : end]) <= _MOST
        if held is not None and (not fits or text[start] == "#"):
            yield held
            held = None
        held = (held[0] if held else start, end)
    if held is not None:
        yield held


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Paragraphs, and where one is too long its sentences; a sentence that is too long is cut hard."""
    for paragraph in _PARAGRAPH.finditer(text):
        if _count(paragraph[0]) <= _MOST:
            yield paragraph.span()
            continue
        for sentence in _SENTENCE.finditer(text, *paragraph.span()):
            for start in range(sentence.start(), sentence.end(), 4 * _MOST):
                yield start, min(start + 4 * _MOST, sentence.end())


def _tool(path: Path, number: int, raw: Any) -> Tool:
    given = raw.get("function", raw) if isinstance(raw, dict) else raw
    if not isinstance(given, dict):
        raise BadInput(f"{path}: tool {number}: not an object")
    fields = {key: given[key] for key in ("name", "description", "parameters") if key in given}
    if "inputSchema" in given:
        fields["parameters"] = given["inputSchema"]
    try:
        return Tool.model_validate(fields)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(step) for step in fault["loc"])
        raise BadInput(f"{path}: tool {number}: {where}: {fault['msg']}") from error
