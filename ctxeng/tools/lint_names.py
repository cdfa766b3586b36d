"""Names of tools: the same in several servers, look-alikes, and those that providers refuse."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal

from ctxeng.tools.limits import ANTHROPIC, BEDROCK, GEMINI, OPENAI
from ctxeng.tools.lint_hidden import HIDDEN, folded, shown
from ctxeng.turn import Tool

Fault = tuple[str, Literal["error", "warning", "note"], str]

_PROVIDERS = (OPENAI, ANTHROPIC, GEMINI, BEDROCK)
_DIGITS = str.maketrans("01", "ol")


def refused(tool: Tool) -> Iterator[Fault]:
    """Whether providers take the name as it is, and the description at its length."""
    against = [each.provider for each in _PROVIDERS if not each.takes(tool.name)]
    if against:
        who = "every provider" if len(against) == len(_PROVIDERS) else ", ".join(against)
        what = f"the name {shown(tool.name, 70)!r} is refused by {who}"
        yield "name-refused", "warning", f"{what}; it is sent under another one"
    for each in _PROVIDERS:
        if each.description is not None and len(tool.description) > each.description:
            size = f"{len(tool.description)} characters, {each.provider} takes {each.description}"
            yield "long-description", "note", f"the description has {size}"


def clashes(tools: Sequence[Tool]) -> Iterator[tuple[int, str, Literal["error", "warning", "note"], str]]:
    """Place in `tools` and fault of each name that another tool has too, or one that looks like it."""
    same: dict[str, list[int]] = defaultdict(list)
    alike: dict[str, list[int]] = defaultdict(list)
    for index, tool in enumerate(tools):
        same[tool.name].append(index)
        alike[_skeleton(tool.name)].append(index)
    for name, places in same.items():
        for index in places[1:]:
            first = tools[places[0]]
            if any(tools[other].server == tools[index].server for other in places if other < index):
                yield index, "name-collision", "error", f"its server has another tool named {shown(name)!r}"
            else:
                what = f"server {shown(first.server)!r} has a tool of the same name"
                yield index, "name-collision", "warning", f"{what}; namespace them"
    for places in alike.values():
        seen = {tools[places[0]].name}
        for index in places[1:]:
            name = tools[index].name
            if name not in seen:
                yield _look_alike(index, tools[places[0]], tools[index])
            seen.add(name)


def _look_alike(index: int, first: Tool, second: Tool) -> tuple[int, str, Literal["error", "warning"], str]:
    disguised = not (first.name.isascii() and second.name.isascii())
    where = f" of server {shown(first.server)!r}" if first.server != second.server else ""
    what = f"looks like {_escaped(first.name)}{where}, and is {_escaped(second.name)}"
    return index, "look-alike", "error" if disguised else "warning", what


def _skeleton(name: str) -> str:
    """What is left of a name for a reader in a hurry: no case, no separators, letters by their looks."""
    plain = folded(HIDDEN.sub("", unicodedata.normalize("NFKC", name))).casefold()
    # a digit that ends a name is a version or a count, not a letter in disguise
    inner = re.sub(r"(?<=[a-z])[01](?=[a-z])", lambda digit: digit[0].translate(_DIGITS), plain)
    return re.sub(r"[\s_.:\-/]+", "", inner) or plain


def _escaped(name: str) -> str:
    return shown(name.encode("ascii", "backslashreplace").decode())
