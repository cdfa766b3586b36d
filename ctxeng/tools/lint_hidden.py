"""What a person who reads tool text does not see: invisible characters, comments, encoded text, padding."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

# tags, bidi controls, zero widths and other fillers that take no room, selectors that carry bytes
HIDDEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    "\u3164\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_NEVER = re.compile("[\u202a-\u202e\u2066-\u2069\U000e0000-\U000e0fff]")  # bidi overrides, tags, selectors
_JOINERS = re.compile("[\u200b-\u200d\u2060-\u2064\ufeff]")
# a joiner has work to do between letters of other scripts and between emoji; a mark of order at the start
_AMONG_ASCII = re.compile(r"(?<=[\x20-\x7e])[\u200b-\u200d\u2060-\u2064\ufeff]+(?=[\x20-\x7e]|\Z)")
_COMMENT = re.compile(r"<!--(.*?)(?:-->|\Z)", re.DOTALL)
_BLOB = re.compile(r"(?<![\w+/=.-])[A-Za-z0-9+/_-]{32,}={0,2}(?![\w+/=.-])")
_BLANKS = re.compile(r"\s+(?=\S)")
_LINES, _COLUMNS = 12, 120  # blanks after which a reader takes a text to have ended
_READABLE = 0.95  # share of decoded bytes that are printable ASCII: other data has about 0.37
_WORDS = 4
_SHOWN_LEAST = 12  # characters of words in a comment worth a finding

_ALIKE = str.maketrans(
    "аеорсухіјѕһԁԛԝвкмнтАВЕКМНОРСТУХІЈЅαορντικυΑΒΕΖΗΙΚΜΝΟΡΤΥΧɡıℓ",
    "aeopcyxijshdqwbkmhtABEKMHOPCTYXIJSaopvtikuABEZHIKMNOPTYXgil",
)


def folded(text: str) -> str:
    """The text with Cyrillic and Greek letters that look like Latin ones replaced by those."""
    return text.translate(_ALIKE)


def hidden(text: str) -> Iterator[tuple[str, str, str]]:
    """Rule, level and a sentence for each kind of hidden text."""
    never, among = _NEVER.findall(text), _AMONG_ASCII.findall(text)
    marks = never or (among if _JOINERS.search(text) else [])
    if marks:
        codes = sorted({f"U+{ord(mark):04X}" for found in marks for mark in found})
        more = f" and {len(codes) - 4} more" if len(codes) > 4 else ""  # noqa: PLR2004 - what fits a line
        yield "hidden-characters", "error", f"holds invisible characters: {', '.join(codes[:4])}{more}"
    for comment in _COMMENT.findall(text):
        if len(comment.strip()) >= _SHOWN_LEAST:
            yield "hidden-text", "error", f"holds a comment that a page does not show: {shown(comment)}"
            break
    runs = (run[0] for run in _BLANKS.finditer(text.rstrip()))
    if any(run.count("\n") >= _LINES or len(run) >= _COLUMNS for run in runs):
        yield "hidden-text", "warning", "has text behind so many blanks that a reader may miss it"
    said = decoded(text)
    if said:
        yield "encoded-text", "error", f"holds encoded text: {shown(said)}"


def decoded(text: str) -> str:
    """The first words that stand in the text in base64 or hexadecimal; empty where there are none."""
    return next(filter(None, map(_decoded, _BLOB.findall(text))), "")


def shown(text: str, most: int = 100) -> str:
    """The text on one line, cut, with what cannot be seen as escapes: safe to print."""
    flat = HIDDEN.sub(lambda mark: f"\\u{{{ord(mark[0]):x}}}", " ".join(text.split()))
    flat = "".join(mark if mark.isprintable() else f"\\u{{{ord(mark):x}}}" for mark in flat)
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def _decoded(blob: str) -> str:
    """What a blob says where it is words in base64 or hexadecimal, else nothing."""
    for decode in (_from_hex, _from_base64):
        raw = decode(blob)
        printable = sum(32 <= byte < 127 or byte in b"\n\t" for byte in raw)  # noqa: PLR2004 - ASCII
        text = raw.decode("ascii", "ignore")
        if raw and printable >= _READABLE * len(raw) and len(text.split()) >= _WORDS:
            return "" if text.lstrip().startswith(("{", "[")) else text  # a token or a cursor, not prose
    return ""


def _from_hex(blob: str) -> bytes:
    return bytes.fromhex(blob) if re.fullmatch(r"(?:[0-9a-fA-F]{2})+", blob) else b""


def _from_base64(blob: str) -> bytes:
    body = blob.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
