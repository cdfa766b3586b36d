"""PDF files: the text of each page, through pypdf."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from ctxeng.errors import BadInput, MissingExtra

if TYPE_CHECKING:
    from pypdf import PdfReader

PAGE_BREAK = "\n\n\f\n"  # ends a paragraph, and tells a reader of the text where the page ended
_HYPHENATED = re.compile(r"(?<=[a-z])-\n(?=[a-z])")


def pdf_text(raw: bytes, name: str) -> tuple[str, tuple[int, ...], str]:
    """The text, where each page begins in it, and the title the file gives itself.

    A word that was hyphenated at a line's end is put together again. Raises BadInput that names the file
    where it is encrypted, damaged or without any text; MissingExtra where pypdf is not installed.
    """
    try:
        import pypdf  # noqa: PLC0415 - an optional dependency
        from pypdf.errors import DependencyError, PyPdfError  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra("docs", "pypdf") from error
    try:
        reader = pypdf.PdfReader(io.BytesIO(raw))
        if reader.is_encrypted and not reader.decrypt(""):  # many are locked with an empty password
            raise BadInput(f"{name}: encrypted with a password; save a copy without one")
        pages = [_page(page.extract_text()) for page in reader.pages]
        title = _title(reader)
    except DependencyError as error:
        raise BadInput(f"{name}: encrypted; to read it: pip install 'pypdf[crypto]'") from error
    # a damaged file can break any assumption of the parser
    except (
        PyPdfError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise BadInput(f"{name}: not a PDF that can be read ({type(error).__name__}: {error})") from error
    if not any(pages):
        raise BadInput(
            f"{name}: no text on its {len(pages)} pages; scanned pages need text recognition (OCR) first"
        )
    starts, at = [], 0
    for page in pages:
        starts.append(at)
        at += len(page) + len(PAGE_BREAK)
    return PAGE_BREAK.join(pages), tuple(starts), title


def _page(text: str) -> str:
    lines = (line.rstrip() for line in text.replace("\f", "\n").split("\n"))
    return _HYPHENATED.sub("", "\n".join(lines)).strip()


def _title(reader: PdfReader) -> str:
    title = reader.metadata.title if reader.metadata else ""
    return str(title or "").strip()
