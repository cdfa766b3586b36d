"""What is wrong with a catalogue of tools: instructions to the model, clashes of names, poor schemas.

Tool text is data: it is read, compared and quoted here, never followed and never run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ctxeng.errors import BadInput
from ctxeng.tools.lint_hidden import decoded, hidden, shown
from ctxeng.tools.lint_names import clashes, refused
from ctxeng.tools.lint_schema import schema_faults
from ctxeng.tools.lint_twins import twins
from ctxeng.tools.lint_words import RULES, instructions, plainly
from ctxeng.tools.trim_walk import located
from ctxeng.turn import Tool

Level = Literal["error", "warning", "note"]

# the rules that speak of text meant for the model, not for a caller of the tool
INJECTION = frozenset(
    ["hidden-characters", "hidden-text", "encoded-text", "other-tools", *(rule.name for rule in RULES)]
)

_PROSE = {"title", "description", "$comment"}
_LISTED = {"enum", "examples"}
_VALUES = {"default", "const"}
_ORDER = re.compile(
    r"\b(?:must|always|never|do not|don't|stop|avoid|instead of|rather than|before|after|ignore|replaces?|"
    r"deprecated|obsolete|broken|unsafe|compromised|disabled|whenever|every time)\b"
)
_LEAST_NAME = 5  # letters of a name that no ordinary word is taken for


@dataclass(frozen=True)
class Finding:
    """One thing to look at: an error is to be mended, a warning to be judged, a note to be known.

    `rule` is what was broken, in words joined by dashes. `message` can be printed: what is hidden in it is
    written as escapes.
    """

    tool: str
    server: str
    level: Level
    rule: str
    message: str


def lint(
    tools: Sequence[Tool],
    *,
    tokens: int = 1_000,
    count: Callable[[str], int] | None = None,
    alike: float = 0.9,
) -> list[Finding]:
    """Findings about the tools, in their order; errors of a tool first.

    A schema of more than `tokens` is reported, counted by `count` (an estimate where none is given). Tools
    are near duplicates where the words they share are at least `alike` of the words of both. Raises BadInput
    for an `alike` outside (0, 1].
    """
    if not 0 < alike <= 1:
        raise BadInput(f"alike is {alike}, it must be above 0 and at most 1")
    found: list[list[Finding]] = [[] for _ in tools]
    others = _names_elsewhere(tools)
    for index, tool in enumerate(tools):
        faults = (*_injected(tool, others), *refused(tool), *schema_faults(tool, tokens, count))
        found[index] += (_finding(tool, *fault) for fault in faults)
    for index, rule, level, message in (*clashes(tools), *twins(tools, alike)):
        found[index].append(_finding(tools[index], rule, level, message))
    rank = {"error": 0, "warning": 1, "note": 2}
    return [each for findings in found for each in sorted(findings, key=lambda one: rank[one.level])]


def _finding(tool: Tool, rule: str, level: Level, message: str) -> Finding:
    return Finding(shown(tool.name), shown(tool.server), level, rule, message)


def _injected(tool: Tool, others: Mapping[str, set[str]]) -> Iterator[tuple[str, Level, str]]:
    """Instructions and hidden text, each rule once a tool and place."""
    own = plainly(tool.name).replace("_", " ")
    for place, text, prose in _texts(tool):
        for name, level, message in hidden(text):
            # a default may well be an encoded name; what it says is then read like any text
            if prose or name != "encoded-text" or any(instructions(decoded(text))):
                yield name, _level(level), f"{place} {message}"
        for rule, words in instructions(text):
            yield rule.name, _level(rule.level), f"{place} {rule.about}: {shown(words)!r}"
        if prose:
            for name in _ordered(text, own, tool.server, others):
                yield "other-tools", "warning", f"{place} gives orders about another server's tool, {name}"


def _level(level: str) -> Level:
    return "error" if level == "error" else "warning" if level == "warning" else "note"


def _texts(tool: Tool) -> Iterator[tuple[str, str, bool]]:
    """Every text of the tool that a model reads: where it stands, the text, whether it is prose."""
    yield "the name", tool.name, False
    yield "the description", tool.description, True
    for path, schema in located(tool.parameters):
        named = [part for part in path if part not in {"properties", "items"}]
        place = f"parameter {shown('.'.join(named), 60)}" if named else "the schema"
        for key, value in schema.items():
            values = value if key in _LISTED and isinstance(value, list) else [value]
            if key in _PROSE | _LISTED | _VALUES:
                yield from ((place, each, key in _PROSE) for each in values if isinstance(each, str))
        properties = schema.get("properties")
        for name in properties if isinstance(properties, Mapping) else ():
            yield "the name of a parameter", str(name), False


def _names_elsewhere(tools: Sequence[Tool]) -> dict[str, set[str]]:
    """Servers by the name of a tool, of names that cannot be mistaken for a word."""
    found: dict[str, set[str]] = {}
    for tool in tools:
        name = plainly(tool.name)
        if len(name) >= _LEAST_NAME and re.search(r"[a-z0-9][_-][a-z0-9]", name):
            found.setdefault(name, set()).add(tool.server)
    return found


def _ordered(text: str, own: str, server: str, others: Mapping[str, set[str]]) -> Iterator[str]:
    """Names of tools that only other servers have, in a sentence with an order."""
    for sentence in re.split(r"(?<=[.!?])\s|\n", plainly(text)):
        if _ORDER.search(sentence):
            for word in dict.fromkeys(re.findall(r"[a-z0-9]+(?:[_-][a-z0-9]+)+", sentence)):
                if server not in others.get(word, {server}) and word.replace("_", " ") != own:
                    yield word
