"""New entries into a YAML text: only the lines of changed entries change, everything else stays as it is."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import yaml

from ctxeng.errors import BadPlaybook
from ctxeng.playbook.entry import Entry
from ctxeng.playbook.order import in_order
from ctxeng.playbook.yamlfile import compose, dump, parse

_KEY = re.compile(r"entries:[ \t]*(#.*)?\r?\n?")
_ITEM = re.compile(r"( *)-(?=[ \r\n]|$)")
_KEPT_BREAKS = re.compile(r"[|>]\d?\+\d?[ \t]*(#.*)?\r?$", re.MULTILINE)  # trailing blank lines are text
_ANCHOR = re.compile(r"(?:^|[\s\[{,:-])[&*][\w-]", re.MULTILINE)


@dataclass(frozen=True)
class _Layout:
    """Where the items stand: `starts` are the lines of their dashes, `stop` is the line behind the list."""

    lines: list[str]
    starts: list[int]
    stop: int
    indent: int

    @cached_property
    def ends(self) -> list[int]:
        """The line behind each item's own lines; what comes then, up to the next dash, is between items."""
        return [
            self._end(start, limit)
            for start, limit in zip(self.starts, [*self.starts[1:], self.stop], strict=True)
        ]

    def _end(self, start: int, limit: int) -> int:
        end = limit
        while end > start + 1 and self.between(self.lines[end - 1]):
            end -= 1
        if end < limit and _KEPT_BREAKS.search("".join(self.lines[start:end])):
            while end < limit and not self.lines[end].strip():
                end += 1
        return end

    def chunk(self, index: int) -> str:
        """The item's own lines."""
        return "".join(self.lines[self.starts[index] : self.ends[index]])

    def between(self, line: str) -> bool:
        """Whether the line is blank or a comment that belongs to no item."""
        bare = line.strip()
        return not bare or (bare[0] == "#" and len(line) - len(line.lstrip(" ")) <= self.indent)


def splice(text: str, old: Sequence[Entry], new: Sequence[Entry]) -> str:
    """The text with the entries `new` where it had `old`.

    Comments and formatting of all other entries and keys survive byte for byte. Where the list is missing,
    in flow style or uses anchors across entries, it is written anew. BadPlaybook where even that fails.
    """
    mark, text = ("\ufeff", text[1:]) if text.startswith("\ufeff") else ("", text)
    if not old and not new:
        return mark + text
    lines = _lines(text)
    for layout in (_scanned(lines), None):
        found = layout or _composed(text, lines)
        if found and len(found.starts) == len(old):
            spliced = _spliced(found, old, new, check_all=layout is None)
            if spliced is not None:
                return mark + spliced
    return mark + _rewritten(text, new)


def without_entries(text: str) -> str:
    """The text without the items of its list: all that is needed to read its other keys.

    Empty where the list is not written so that a look at each line finds it.
    """
    lines = _lines(text)
    found = _scanned(lines)
    return "".join([*lines[: found.starts[0]], *lines[found.stop :]]) if found else ""


def _lines(text: str) -> list[str]:
    """The text's lines with their ends; only a newline ends one."""
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines


def _scanned(lines: list[str]) -> _Layout | None:
    """The layout by a look at each line. The caller checks it against the entries that were parsed."""
    key = next((number for number, line in enumerate(lines) if _KEY.fullmatch(line)), None)
    if key is None:
        return None
    starts: list[int] = []
    indent = -1
    for number in range(key + 1, len(lines)):
        line = lines[number]
        bare = line.strip()
        if not bare or bare[0] == "#":
            continue
        column = len(line) - len(line.lstrip(" "))
        is_item = bare[0] == "-" and _ITEM.match(line) is not None
        if indent < 0 and is_item:
            indent = column
        if column == indent and is_item:
            starts.append(number)
        elif column <= indent or indent < 0:
            return _Layout(lines, starts, number, indent) if starts else None
    return _Layout(lines, starts, len(lines), indent) if starts else None


def _composed(text: str, lines: list[str]) -> _Layout | None:
    """The layout by the parser's marks; None where the list is not in block style."""
    _, value = _value(text)
    if not isinstance(value, yaml.SequenceNode) or value.flow_style or not value.value:
        return None
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line))
    indent = value.start_mark.column
    starts: list[int] = []
    for item in value.value:
        number = bisect_left(offsets, item.start_mark.index + 1) - 1
        while number > (starts[-1] if starts else 0) and not lines[number].startswith(" " * indent + "-"):
            number -= 1
        starts.append(number)
    stop = bisect_left(offsets, value.end_mark.index)
    return _Layout(lines, starts, min(stop, len(lines)), indent)


def _spliced(layout: _Layout, old: Sequence[Entry], new: Sequence[Entry], *, check_all: bool) -> str | None:
    """The new text; None where the lines do not hold what was parsed from them."""
    places = {entry.id: index for index, entry in enumerate(old)}
    kept = in_order([places[entry.id] for entry in new if entry.id in places])
    inserts: dict[int, list[Entry]] = {}  # by the index of the item they stand behind; -1: at the start
    rewrites: dict[int, Entry] = {}
    behind = -1
    for entry in new:
        index = places.get(entry.id, -1)
        if index in kept:
            behind = index
            if entry != old[index] or entry.id not in layout.chunk(index):
                rewrites[index] = entry
        else:
            inserts.setdefault(behind, []).append(entry)
    touched = sorted({*rewrites, *inserts, *(set(places.values()) - kept)} - {-1})
    chunks = [layout.chunk(index) for index in touched]
    if not _hold(chunks, [old[index] for index in touched]):
        return None
    moved = {
        entry.id: layout.chunk(places[entry.id])
        for entries in inserts.values()
        for entry in entries
        if entry.id in places and entry == old[places[entry.id]]
    }
    text = _Writer(layout, kept, inserts, rewrites, moved).text()
    risky = check_all or any(_ANCHOR.search(chunk) for chunk in chunks)
    if risky and not _holds(text, new):
        return None
    return text


@dataclass(frozen=True)
class _Writer:
    """Puts the lines together: what stays, what is rewritten and what is inserted."""

    layout: _Layout
    kept: set[int]
    inserts: dict[int, list[Entry]]
    rewrites: dict[int, Entry]
    moved: dict[str, str]

    def text(self) -> str:
        """All lines of the new text."""
        layout = self.layout
        first = layout.starts[0]
        head = first
        while head > 0 and layout.between(layout.lines[head - 1]):
            head -= 1
        out = [*layout.lines[:head], *self._inserted(-1)]
        end = head
        for index, start in enumerate(layout.starts):
            gap = layout.lines[end:start]
            end = layout.ends[index]
            if index not in self.kept:
                while gap and not gap[-1].strip():
                    gap.pop()
                out += gap
                continue
            out += gap
            if index in self.rewrites:
                out.append(self._dumped(self.rewrites[index]))
            else:
                out += layout.lines[layout.starts[index] : end]
            out += self._inserted(index)
        rest = layout.lines[end:]
        if out and not out[-1].endswith("\n") and any(rest):
            out[-1] += self._newline
        return "".join([*out, *rest])

    def _inserted(self, behind: int) -> list[str]:
        """The entries that come behind this item, spaced as their neighbours are."""
        layout, blank = self.layout, [self._newline]
        spaced = any(
            not line.strip()
            for index in (behind, max(behind, 0) + 1)
            if 0 < index < len(layout.starts)
            for line in layout.lines[layout.ends[index - 1] : layout.starts[index]]
        )
        out: list[str] = []
        for entry in self.inserts.get(behind, []):
            chunk = self.moved.get(entry.id) or self._dumped(entry)
            if not chunk.endswith("\n"):
                chunk += self._newline
            pieces = [chunk] if not spaced else [*blank, chunk] if behind >= 0 else [chunk, *blank]
            out += pieces
        if out and behind >= 0 and not layout.lines[layout.ends[behind] - 1].endswith("\n"):
            out.insert(0, self._newline if behind not in self.rewrites else "")
        return out

    def _dumped(self, entry: Entry) -> str:
        return dump(entry, " " * self.layout.indent, self._newline)

    @property
    def _newline(self) -> str:
        return "\r\n" if self.layout.lines[0].endswith("\r\n") else "\n"


def _hold(chunks: Sequence[str], entries: Sequence[Entry]) -> bool:
    """Whether these lines alone say these entries."""
    joined = "".join(chunk if chunk.endswith("\n") else chunk + "\n" for chunk in chunks)
    return not chunks or _holds("entries:\n" + joined, entries)


def _holds(text: str, entries: Sequence[Entry]) -> bool:
    try:
        return parse(text).entries == tuple(entries)
    except BadPlaybook:
        return False


def _rewritten(text: str, new: Sequence[Entry]) -> str:
    """The text with the whole list written anew."""
    newline = "\r\n" if "\r\n" in text[: text.find("\n") + 1] else "\n"
    items = "".join(dump(entry, "  ", newline) for entry in new)
    top, value = _value(text)
    if value is None and not (top is not None and top.flow_style):
        ending = newline if text and not text.endswith("\n") else ""
        out = f"{text}{ending}entries:{newline}{items}" if new else text
    elif value is not None and top is not None and top.flow_style:
        plain = [entry.model_dump(mode="json", exclude_defaults=True) for entry in new]
        out = text[: value.start_mark.index] + json.dumps(plain) + text[value.end_mark.index :]
    elif value is not None:
        head, rest = text[: value.start_mark.index].rstrip(" "), text[value.end_mark.index :]
        if isinstance(value, yaml.SequenceNode) and not value.flow_style:
            head, rest = head.rstrip(), newline + rest
        line, found, rest = rest.partition("\n")
        ending = "\n" if found else newline
        out = head + (line + ending + items + rest if new else " []" + line + found + rest)
    else:
        out = text
    if not _holds(out, new):
        raise BadPlaybook(
            "entries cannot be written into this file; put `entries:` at its end, in block style"
        )
    return out


def _value(text: str) -> tuple[yaml.MappingNode | None, yaml.Node | None]:
    """The settings and the value of `entries:` as the parser sees them."""
    top = compose(text)
    if not isinstance(top, yaml.MappingNode):
        return None, None
    return top, next((value for key, value in top.value if key.value == "entries"), None)
