"""HTML to Markdown-like text: what a reader sees, with headings, lists, tables and code marked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ctxeng.chunks.documents.html_table import pipe_table
from ctxeng.errors import MissingExtra

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_HEADINGS = frozenset(f"h{level}" for level in range(1, 7))
_BLOCK_TAGS = """
address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure
footer form header hr legend li main ol p pre search section summary table tbody td tfoot th thead tr ul
"""
BLOCKS = _HEADINGS | frozenset(_BLOCK_TAGS.split())
_UNSEEN = (
    "script, style, nav, noscript, template, iframe, object, svg, canvas, audio, video, button, select, "
    "datalist, textarea, [hidden], [aria-hidden=true], [role=navigation]"
)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_BREAK = "\v"  # a line break that the page demands, until its block is written
_SPACE = re.compile(r"\s+")
# what Markdown would take a line of plain text for: a heading, an item, a table, a quotation, a fence, a rule
_MARKS = re.compile(r"(#{1,6}(?=\s)|[-+*](?=\s)|\||>|`{3}|~{3}|={3}|-{3})|(\d{1,9})(?=[.)]\s)")
_INDENT = "    "  # of a list inside a list; inside bullets as well as inside numbers


def html_text(page: str) -> tuple[str, str]:
    """The visible text, and the page's title (that of its head, else its first heading).

    Headings become `#` lines, lists items, tables pipe tables, preformatted text fenced code; scripts,
    styles, navigation and what its own attributes hide are left out; links and emphasis keep their text only.
    Raises MissingExtra where selectolax is not installed.
    """
    try:
        from selectolax.lexbor import LexborHTMLParser  # noqa: PLC0415 - an optional dependency
    except ImportError as error:
        raise MissingExtra("docs", "selectolax") from error
    tree = LexborHTMLParser(page)
    title = tree.css_first("head title") or tree.css_first("h1")
    named = _SPACE.sub(" ", title.text()).strip() if title else ""
    _drop_unseen(tree)
    found = _Text()
    if tree.body is not None:
        _write(tree.body, found)
    found.end()
    return "".join(found.blocks).strip("\n"), named


@dataclass
class _Text:
    """What has been written so far: finished blocks, and the words of the one that is open."""

    blocks: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    lists: list[int] = field(default_factory=list)  # of each open list: its next number, -1 for bullets
    mark: str = ""  # what the open block begins with, where it is a heading or an item
    listed: bool = False  # whether the block before stands in a list too

    def end(self) -> None:
        """The open block is finished; a mark waits for the first block that has words."""
        lines = (_SPACE.sub(" ", line).strip() for line in "".join(self.words).split(_BREAK))
        lines = (line if self.mark.startswith("#") else _escaped(line) for line in lines if line)
        text = (" " if self.mark.startswith("#") else "\n" + _INDENT * len(self.lists)).join(lines)
        self.words.clear()
        if not text:
            return
        inside = bool(self.lists) and not self.mark.startswith("#")
        lead = self.mark or _INDENT * len(self.lists)
        self.blocks.append(("\n" if inside and self.listed else "\n\n") + lead + text)
        self.mark, self.listed = "", inside

    def verbatim(self, text: str) -> None:
        """A finished block as it is."""
        self.end()
        self.mark, self.listed = "", False
        if text:
            self.blocks.append("\n\n" + text)

    def item(self) -> None:
        """An item of the innermost list begins."""
        number = self.lists[-1] if self.lists else -1
        self.mark = _INDENT * (len(self.lists) - 1) + ("- " if number < 0 else f"{number}. ")
        if number >= 0:
            self.lists[-1] += 1


def _escaped(line: str) -> str:
    found = _MARKS.match(line)
    if found is None:
        return line
    return f"\\{line}" if found[1] else f"{found[2]}\\{line[found.end() :]}"


def _drop_unseen(tree: LexborHTMLParser) -> None:
    for node in tree.css(_UNSEEN):
        node.decompose()
    for node in tree.css("[style]"):
        if _HIDDEN.search(node.attributes.get("style") or ""):
            node.decompose()


def _write(root: LexborNode, found: _Text) -> None:
    """Write everything below. With a stack of our own: pages are nested deeper than Python calls may be."""
    stack: list[tuple[LexborNode, bool]] = [(root, False)]
    while stack:
        node, left = stack.pop()
        tag = node.tag or ""
        if tag == "-text":
            found.words.append((node.text_content or "").replace(_BREAK, " "))
            continue
        if tag in BLOCKS:
            found.end()
        if left:
            _leave(tag, found)
        elif _enter(node, tag, found):
            stack.append((node, True))
            stack += [(child, False) for child in reversed(list(node.iter(include_text=True)))]


def _enter(node: LexborNode, tag: str, found: _Text) -> bool:
    """Write what the element begins with; whether its content is still to be written."""
    if tag == "pre":
        found.verbatim(_fenced(node.text().strip("\n")))
        return False
    if tag == "table" and (table := pipe_table(node, BLOCKS)):
        found.verbatim(table)
        return False
    if tag in _HEADINGS:
        found.mark = "#" * int(tag[1]) + " "
    elif tag in {"ul", "ol"}:
        first = node.attributes.get("start") or "1"
        found.lists.append(-1 if tag == "ul" else int(first) if first.isdecimal() else 1)
    elif tag == "li":
        found.item()
    elif tag == "br":
        found.words.append(_BREAK)
    return True


def _leave(tag: str, found: _Text) -> None:
    if tag == "li" or tag in _HEADINGS:
        found.mark = ""  # an item or heading without words
    if tag in {"ul", "ol"}:
        found.lists.pop()
        found.listed = found.listed and bool(found.lists)


def _fenced(code: str) -> str:
    if not code.strip():
        return ""
    longest = max((len(run) for run in re.findall(r"`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{code}\n{fence}"
