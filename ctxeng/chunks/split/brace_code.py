"""Source code of any language as pieces: by blank lines where no bracket is open and nothing is indented."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from ctxeng.chunks.split.piece import Piece
from ctxeng.chunks.split.seams import LAYOUT, Fits, refine

# comments and strings are passed over whole, so that their brackets do not count
_MARK = re.compile(
    r"""/\*.*?(?:\*/|\Z)|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|[{}()\[\]\n]""",
    re.DOTALL,
)
_DECLARED = re.compile(
    r"\b(?:class|struct|interface|enum|trait|impl|union|protocol|namespace|module|func|function|def|fn|defn?|sub|"
    r"proc|macro|message|service|type|object|record|table|view|procedure)\b(?:\s*<[^>\n]*>|\s*\([^)\n]*\))?"
    r"\s+([A-Za-z_$][\w$.:]*)",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(
    r"(?:export\s+)?(?:default\s+)?(?:const|let|var)\s+([A-Za-z_$][\w$]*)\s*=\s*(?:async\b|function\b|\()"
)
_CALLED = re.compile(r"[A-Za-z_][^;={}()\n]*?([A-Za-z_~][\w:~]*)\s*\([^;{}]*\)[^;{}]*\{")
_HEAD = 500  # characters in which a declaration is looked for
_COMMENT = re.compile(r"\s*(?://|#(?!include|define)|/\*|\*|--)")


def brace_pieces(text: str, fits: Fits) -> list[Piece]:
    """What stands at the top level, titled by the name it declares; what is too long by its lines."""
    cuts = [0, *_cuts(text), len(text)]
    found = []
    for start, end in pairwise(cuts):
        held = text[start:end].rstrip()
        blank = len(held) - len(held.lstrip("\n"))
        if held.strip():
            span = (start + blank, start + len(held))
            title = _symbol(held)
            found += [Piece(*part, title) for part in refine(text, span, LAYOUT, fits)]
    return found


def _cuts(text: str) -> Iterator[int]:
    """Where a line begins that is not indented, after a blank line, with no bracket or string open."""
    depth = 0
    for found in _MARK.finditer(text):
        mark = found[0]
        if mark in "{([":
            depth += 1
        elif mark in "})]":
            # an ending at the margin ends all: some bracket was no bracket
            margin = found.start() == 0 or text[found.start() - 1] == "\n"
            depth = 0 if margin else max(0, depth - 1)
        elif mark == "\n" and depth == 0:
            start = found.end()
            before = text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
            if (
                start < len(text)
                and not before.strip()
                and not text[start].isspace()
                and text[start] not in "})]"
            ):
                yield start


def _symbol(held: str) -> str:
    """The name that the first line of code declares, "" where it declares none."""
    code = "\n".join(line for line in held.split("\n") if not _COMMENT.match(line)).lstrip()[:_HEAD]
    first = code.split("\n", 1)[0]
    found = _ASSIGNED.match(first) or _DECLARED.search(first) or _CALLED.match(code)
    return found[1] if found else ""
