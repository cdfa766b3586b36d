"""A graph from triples: a list, JSON lines or CSV; a bad one is named by its line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, StringConstraints, ValidationError

from ctxeng.chunks.graph.build import Builder
from ctxeng.chunks.graph.graph import Graph
from ctxeng.chunks.graph.names import key_of
from ctxeng.errors import BadInput
from ctxeng.message import well_formed
from ctxeng.turn import Trust, Value

COLUMNS = ("subject", "relation", "object", "source", "text")
_LEAST = 3  # of them have to be there

_Filled = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(well_formed)]
_Stripped = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(well_formed)]


class Triple(Value):
    """One fact. `text` is the sentence it was read from; without one, the three parts make a sentence."""

    subject: _Filled
    relation: _Filled
    object: _Filled
    source: _Stripped = ""
    text: _Stripped = ""

    @property
    def sentence(self) -> str:
        """What stands in the window."""
        if self.text:
            return self.text
        said = " ".join((self.subject, self.relation.replace("_", " "), self.object))
        return said if said.endswith((".", "!", "?")) else f"{said}."


def from_triples(
    triples: Iterable[Triple | Sequence[str] | Mapping[str, str]],
    source: str = "triples",
    trust: Trust = "untrusted",
) -> Graph:
    """A statement a triple; equal triples are one statement with all their sources.

    A triple is a `Triple`, a mapping with its fields, or (subject, relation, object[, source[, text]]). One
    that names no source is from "`source`:number". Raises BadInput for one that cannot be read.
    """
    return _graph(enumerate(triples, 1), source, trust)


def read_triples(path: Path | str, trust: Trust = "untrusted") -> Graph:
    """The same from a file: `.csv` (a first line of column names is optional), `.jsonl` or `.ndjson`.

    A line of JSON is a list or an object as in `from_triples`. Raises BadInput, naming file and line.
    """
    path = Path(path)
    readers: Mapping[str, Callable[[str, str], Iterator[tuple[int, Any]]]] = {
        ".csv": _csv,
        ".jsonl": _json_lines,
        ".ndjson": _json_lines,
    }
    if path.suffix.lower() not in readers:
        raise BadInput(f"{path.name}: triples are read from {', '.join(readers)} files")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path.name}: cannot be read as UTF-8 text ({error})") from error
    return _graph(readers[path.suffix.lower()](text, path.name), path.name, trust)


def _graph(numbered: Iterable[tuple[int, Any]], source: str, trust: Trust) -> Graph:
    builder = Builder()
    for number, raw in numbered:
        triple = _triple(raw, f"{source}:{number}")
        subject, other = builder.entity(triple.subject), builder.entity(triple.object)
        # the same fact in other spellings is the same fact
        says = "\n".join((key_of(triple.subject), key_of(triple.relation), key_of(triple.object)))
        place = builder.statement(triple.sentence, triple.source or f"{source}:{number}", trust, says=says)
        builder.edge(subject, triple.relation, other, place)
    return builder.graph()


def _triple(raw: Any, where: str) -> Triple:
    if isinstance(raw, Triple):
        return raw
    if isinstance(raw, list | tuple):
        if not _LEAST <= len(raw) <= len(COLUMNS):
            wanted = "subject, relation, object[, source[, text]]"
            raise BadInput(f"{where}: {len(raw)} columns, wanted {wanted}")
        raw = dict(zip(COLUMNS, raw, strict=False))
    if not isinstance(raw, Mapping):
        raise BadInput(f"{where}: a triple is a list or an object, not {type(raw).__name__}")
    try:
        return Triple.model_validate(dict(raw))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "triple"
        raise BadInput(f"{where}: {field}: {first['msg']}") from error


def _csv(text: str, name: str) -> Iterator[tuple[int, Any]]:
    """Each row with the line on which it ends."""
    rows = csv.reader(text.splitlines(keepends=True), strict=True)
    columns: list[str] | None = None
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if columns is None:
                heads = [cell.lower() for cell in cells]
                columns = heads if heads[:_LEAST] == list(COLUMNS[:_LEAST]) else []
                if columns:
                    continue
            yield rows.line_num, _named(cells, columns, f"{name}:{rows.line_num}") if columns else cells
    except csv.Error as error:
        raise BadInput(f"{name}:{rows.line_num}: {error}") from error


def _named(cells: Sequence[str], columns: Sequence[str], where: str) -> dict[str, str]:
    if len(cells) > len(columns):
        raise BadInput(f"{where}: {len(cells)} columns, the first line names {len(columns)}")
    return dict(zip(columns, cells, strict=False))


def _json_lines(text: str, name: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except json.JSONDecodeError as error:
            raise BadInput(f"{name}:{number}: no JSON ({error.msg}, column {error.colno})") from error
