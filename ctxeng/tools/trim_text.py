"""Descriptions shortened by extraction: whole sentences go, the least telling first."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ctxeng.text.sentences import sentences
from ctxeng.tools.trim_walk import NAMED, Path, located, rebuilt
from ctxeng.turn import Tool

ABOUT: Path = ("",)  # where the tool's own description stands; every other path leads into its parameters

_TELLING = re.compile(
    r"\d|[`'\"“][\w./:-]+[`'\"”]|\b(?:must|only|required?|never|always|not|cannot|default\w*|"
    r"at (?:least|most)|"
    r"max\w*|min\w*|limit\w*|format\w*|iso|utc|e\.g\.|example|either|one of|unless|instead|"
    r"seconds?|minutes?|hours?|days?|bytes?|[kmg]b|percent|pixels?|characters?)\b",
    re.IGNORECASE,
)
_CUT = "…"


@dataclass(frozen=True, order=True)
class Sentence:
    """A sentence of a description: `tier` 0 adds little, 1 tells a caller something, 2 and 3 are the first.

    A parameter's first sentence is of tier 2 where the parameter is optional, else of 3; the first of the
    tool's own description is none of these and never goes. Sorted, what may go first stands first.
    """

    tier: int
    late: int  # sentences to the end of its description, counted from far: later ones sort first
    length: int  # characters, negative: the longest first
    path: Path
    index: int


def spoken(tool: Tool) -> list[Sentence]:
    """The sentences that may go, the least telling first."""
    found = []
    for path, about, names in _descriptions(tool):
        for index, (start, end) in enumerate(sentences(about)):
            if path == ABOUT and index == 0:
                continue
            text = about[start:end]
            tier = int(telling(text, names)) if index else 2 + _needed(tool.parameters, path)
            found.append(Sentence(tier, -index, start - end, path, index))
    return sorted(found)


def telling(text: str, names: Collection[str] = ()) -> bool:
    """Whether a sentence has a number, a unit, a format, an obligation or one of the names."""
    if _TELLING.search(text):
        return True
    return any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) for name in names if len(name) > 1)


def unsaid(tool: Tool, gone: Iterable[Sentence]) -> Tool:
    """The tool without these sentences."""
    without: dict[Path, set[int]] = {}
    for each in gone:
        without.setdefault(each.path, set()).add(each.index)
    texts = {path: _kept(about, without[path]) for path, about, _ in _descriptions(tool) if path in without}
    return _told(tool, texts)


def clipped(tool: Tool, longest: int) -> Tool:
    """The tool with sentences of more than `longest` characters cut at a word, and a mark where they are."""
    return _told(tool, {path: shortened(about, longest) for path, about, _ in _descriptions(tool)})


def shortened(about: str, longest: int) -> str:
    """The text with every sentence of more than `longest` characters cut at a word."""
    return _joined(about, [(start, end, longest) for start, end in sentences(about)])


def fitted(about: str, characters: int) -> str:
    """As many whole sentences from the start as there is room for; the first one is cut if it must be."""
    spans = sentences(about)
    ends = [end for _, end in spans if end - spans[0][0] <= characters]
    if len(about) <= characters or not spans:
        return about[:characters]
    return about[spans[0][0] : ends[-1]] if ends else _cut(about[slice(*spans[0])], characters)


def _descriptions(tool: Tool) -> Iterable[tuple[Path, str, tuple[str, ...]]]:
    """Path, text and the names that tell something in it, of each description."""
    properties = tool.parameters.get("properties")
    yield ABOUT, tool.description, tuple(properties) if isinstance(properties, Mapping) else ()
    for path, each in located(tool.parameters):
        about = each.get("description")
        if isinstance(about, str) and about:
            listed = each.get("enum")
            values = listed if isinstance(listed, list) else [each.get("const"), each.get("default")]
            yield path, about, tuple(value for value in values if isinstance(value, str))


def _told(tool: Tool, texts: Mapping[Path, str]) -> Tool:
    def tell(each: dict[str, Any], path: Path) -> dict[str, Any]:
        if path not in texts:
            return each
        rest = {key: value for key, value in each.items() if key != "description"}
        return each | {"description": texts[path]} if texts[path] else rest

    parameters = rebuilt(tool.parameters, tell)
    description = texts.get(ABOUT, tool.description)
    return tool.model_copy(update={"description": description, "parameters": parameters})


def _kept(about: str, gone: Collection[int]) -> str:
    spans = enumerate(sentences(about))
    return _joined(about, [(start, end, end - start) for index, (start, end) in spans if index not in gone])


def _joined(about: str, spans: Iterable[tuple[int, int, int]]) -> str:
    """Sentences with what stood before each of them, cut down to line breaks or one space."""
    text, last = "", 0
    for start, end, longest in spans:
        between = about[last:start]
        gap = "\n" * min(between.count("\n"), 2) or " "
        text += (gap if text else "") + _cut(about[start:end], longest)
        last = end
    return text


def _cut(sentence: str, longest: int) -> str:
    if len(sentence) <= longest:
        return sentence
    head = sentence[: max(longest - len(_CUT), 0)]
    whole = head[: head.rfind(" ")] if " " in head else head
    return whole.rstrip(" ,;:(") + _CUT


def _needed(schema: Any, path: Path) -> bool:
    """Whether no parameter on the way to the path can be left out."""
    at, rest = schema, list(path)
    while rest:
        key = rest.pop(0)
        inner = at[key]
        if key in NAMED or isinstance(inner, list):
            name = rest.pop(0)
            if key == "properties" and name not in (at.get("required") or ()):
                return False
            inner = inner[int(name)] if isinstance(inner, list) else inner[name]
        at = inner
    return True
