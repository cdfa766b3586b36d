"""JSON lines: a document a line, with its text under `text` and maybe a title and an id."""

from __future__ import annotations

import json
from typing import Any

from ctxeng.chunks.documents.decode import decode
from ctxeng.chunks.documents.document import Document
from ctxeng.errors import BadInput


def json_lines(raw: bytes, name: str, source: str) -> list[Document]:
    """A document for each line that is not empty; its source is `source` and the line's `id`, or its number.

    Raises BadInput naming the line that is no object with a text.
    """
    found: dict[str, Document] = {}
    for number, line in enumerate(decode(raw, name).split("\n"), 1):
        if not line.strip():
            continue
        where = f"{name}: line {number}"
        given = _object(line, where)
        ref = f"{source}:{given.get('id', number)}"
        if ref in found:
            raise BadInput(f"{where}: the id {given['id']!r} is that of an earlier line")
        found[ref] = Document(source=ref, text=given["text"], title=str(given.get("title") or ""))
    return list(found.values())


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        given = json.loads(line)
    except ValueError as error:
        raise BadInput(f"{where}: not JSON ({error})") from error
    if not isinstance(given, dict) or not isinstance(given.get("text"), str):
        raise BadInput(f'{where}: not an object with a text, such as {{"title": "Refunds", "text": "..."}}')
    return given
