"""One file as a document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ctxeng.chunks.documents.decode import decode
from ctxeng.chunks.documents.document import Document, Kind
from ctxeng.chunks.documents.html import html_text
from ctxeng.chunks.documents.kinds import format_of
from ctxeng.chunks.documents.lines import json_lines
from ctxeng.chunks.documents.pdf import pdf_text
from ctxeng.errors import BadInput
from ctxeng.turn import Trust

_HEADING = re.compile(r"^#[ \t]+(.+?)[ \t]*#*$|^(\S.*)\n===+[ \t]*$", re.MULTILINE)


def read_document(path: Path, source: str = "", trust: Trust = "untrusted") -> Document:
    """The file's text. `source` is what chunks cite, the file's name where it is empty.

    A name that says nothing is read as plain text. Raises BadInput, naming the file, where it is missing,
    binary, in an unknown encoding, or a PDF that is encrypted, damaged or scanned; MissingExtra where a
    format needs a library that is not installed.
    """
    raw = _bytes(path)
    found = format_of(path.name) or "text"
    kind: Kind = "text"
    pages: tuple[int, ...] = ()
    title = ""
    if found == "pdf" or raw.startswith(b"%PDF-"):
        text, pages, title = pdf_text(raw, str(path))
    elif found == "html":
        text, title = html_text(decode(raw, str(path), declared=True))
        kind = "markdown"
    else:
        text = decode(raw, str(path))
        kind = "text" if found == "lines" else found
        title = _heading(text) if found == "markdown" else ""
    return Document(
        source=source or path.name, text=text, kind=kind, title=title or path.stem, trust=trust, pages=pages
    )


def read_documents(path: Path, source: str = "", trust: Trust = "untrusted") -> Iterator[Document]:
    """The documents of one file: one, or those of its lines where it holds JSON lines.

    Raises as `read_document` does, and BadInput naming the line that is no document.
    """
    if format_of(path.name) == "lines":
        lines = json_lines(_bytes(path), str(path), source or path.name)
        yield from (document.model_copy(update={"trust": trust}) for document in lines)
    else:
        yield read_document(path, source, trust)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from error


def _heading(text: str) -> str:
    found = _HEADING.search(text)
    return (found[1] or found[2]).strip() if found else ""
