"""Bytes to text: UTF-8, whatever a byte order mark says, and in HTML what the page declares."""

from __future__ import annotations

import codecs
import re

from ctxeng.errors import BadInput

_MARKS = (  # the longer first: that of UTF-32 begins like that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(
    rb"""<(?:meta|\?xml)[^>]*?(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE
)
_LOOKED_AT = 4_096  # bytes from the beginning
_NEWLINE = re.compile(r"\r\n?")
# browsers read these names as Windows-1252, which is what such pages are written in
_LATIN = {"iso-8859-1", "iso8859-1", "latin1", "latin-1", "ascii", "us-ascii"}


def decode(raw: bytes, name: str, *, declared: bool = False) -> str:
    """The text, every line end as one newline. With `declared`, as the HTML page says it is encoded.

    Raises BadInput that names the file where it is binary, or text in an encoding that nothing tells.
    """
    return _NEWLINE.sub("\n", _decoded(raw, name, declared=declared))


def _decoded(raw: bytes, name: str, *, declared: bool) -> str:
    encoding = next((found for mark, found in _MARKS if raw.startswith(mark)), "") or _unmarked_utf16(raw)
    if not encoding and b"\0" in raw[:_LOOKED_AT]:
        raise BadInput(f"{name}: a binary file, not text")
    said = _DECLARED.search(raw[:_LOOKED_AT]) if declared else None
    if not encoding and said:
        encoding = said[1].decode("ascii", "replace").lower()
    try:
        return raw.decode("cp1252" if encoding in _LATIN else encoding or "utf-8", _leniency(said))
    except LookupError as error:
        raise BadInput(
            f"{name}: declares the encoding {encoding!r}, which is not known; save it as UTF-8"
        ) from error
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{name}: not {encoding or 'UTF-8'} (byte {error.start}: {error.reason}); save it as UTF-8, "
            "for example with: iconv -f WINDOWS-1252 -t UTF-8"
        ) from error


def _leniency(said: re.Match[bytes] | None) -> str:
    """A page that says how it is encoded is read as browsers do: a broken byte costs one character."""
    return "replace" if said else "strict"


def _unmarked_utf16(raw: bytes) -> str:
    """UTF-16 without a mark, told by its zero bytes: every second one in text that is mostly Latin."""
    head = raw[: min(_LOOKED_AT, len(raw) // 2 * 2)]
    if len(head) < 4:  # noqa: PLR2004 - two characters
        return ""
    odd, even = head[1::2].count(0), head[::2].count(0)
    mostly = 0.4 * len(head)
    if odd >= mostly and not even:
        return "utf-16-le"
    return "utf-16-be" if even >= mostly and not odd else ""
