"""Tool calls in generated text, in the forms of Hermes and Qwen, Llama 3, and Mistral.

Text from a model is data: what is not a whole, well-formed call stays text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from ctxeng.turn import Call

Form = Literal["hermes", "llama3", "mistral"]
_HERMES = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.DOTALL)
_NAMED = re.compile(r"\[TOOL_CALLS\]\s*([\w.-]+)\s*\[ARGS\]\s*")
_DECODER = json.JSONDecoder()
_MARKS: dict[Form, tuple[str, ...]] = {
    "hermes": ("<tool_call>",),
    "llama3": ("<|python_tag|>", "{"),
    "mistral": ("[TOOL_CALLS]",),
}


def detect(template: str) -> Form | None:
    """The form that a chat template teaches its model; None: it knows of no tools."""
    if "[TOOL_CALLS]" in template:
        return "mistral"
    if "<tool_call>" in template:
        return "hermes"
    if "<|python_tag|>" in template or '"parameters": ' in template:
        return "llama3"
    return None


def parse(text: str, form: Form, first: int = 1) -> tuple[str, tuple[Call, ...]]:
    """The text without its calls, and the calls; their ids are call_<first>, call_<first + 1> ..."""
    found: list[tuple[int, int, dict[str, Any]]] = list(_FINDERS[form](text))
    calls = tuple(
        Call(id=f"call_{first + n}", name=raw["name"], arguments=raw["arguments"])
        for n, (_, _, raw) in enumerate(found)
    )
    left, at = [], 0
    for start, end, _ in found:
        left.append(text[at:start])
        at = end
    rest = "".join([*left, text[at:]])
    return (rest.strip() if calls else rest), calls


@dataclass
class CallStream:
    """Text as it comes, held back from where a call may begin.

    `form` None: nothing is a call.
    """

    form: Form | None
    _text: str = ""
    _given: int = 0

    def push(self, text: str) -> str:
        """The text that is certainly none of a call."""
        self._text += text
        upto = len(self._text) if self.form is None else self._begins(self.form)
        released = self._text[self._given : upto]
        self._given = max(self._given, upto)
        return released

    def finish(self, first: int = 1) -> tuple[str, tuple[Call, ...]]:
        """What was held back, without its calls; and the calls."""
        held = self._text[self._given :]
        self._given = len(self._text)
        return (held, ()) if self.form is None else parse(held, self.form, first)

    def _begins(self, form: Form) -> int:
        """Where the first mark of a call stands, whole or begun."""
        found = len(self._text)
        for mark in _MARKS[form]:
            if mark == "{":  # plain JSON counts at the very beginning only
                bare = self._text.lstrip()
                found = min(found, 0) if not bare or bare.startswith("{") else found
                continue
            at = self._text.find(mark, self._given)
            if at < 0:
                sizes = range(min(len(mark) - 1, len(self._text) - self._given), 0, -1)
                at = next((len(self._text) - n for n in sizes if self._text.endswith(mark[:n])), found)
            found = min(found, at)
        return max(self._given, found)


def _hermes(text: str) -> Iterator[tuple[int, int, dict[str, Any]]]:
    for match in _HERMES.finditer(text):
        raw = _call(match[1])
        if raw is not None:
            yield match.start(), match.end(), raw


def _llama3(text: str) -> Iterator[tuple[int, int, dict[str, Any]]]:
    tag = text.find("<|python_tag|>")
    start = max(tag, 0)
    at = start + (len("<|python_tag|>") if tag >= 0 else 0)
    if tag < 0 and not text.lstrip().startswith("{"):
        return
    while at < len(text):
        at += len(text[at:]) - len(text[at:].lstrip(" \t\n;"))
        value, end = _value(text, at)
        raw = _shaped(value)
        if raw is None:
            return
        yield start, end, raw
        start = at = end


def _mistral(text: str) -> Iterator[tuple[int, int, dict[str, Any]]]:
    at = 0
    while (start := text.find("[TOOL_CALLS]", at)) >= 0:
        named = _NAMED.match(text, start)
        begin = named.end() if named else start + len("[TOOL_CALLS]")
        value, end = _value(text, begin)
        found = [{"name": named[1], "arguments": value}] if named else value
        shaped = [_shaped(item) for item in found] if isinstance(found, list) else []
        whole = [raw for raw in shaped if raw is not None]
        if whole and len(whole) == len(shaped):
            for number, raw in enumerate(whole):
                yield (start if number == 0 else end), end, raw
        at = max(end, begin)


_FINDERS = {"hermes": _hermes, "llama3": _llama3, "mistral": _mistral}


def _call(text: str) -> dict[str, Any] | None:
    try:
        return _shaped(json.loads(text))
    except ValueError:
        return None


def _value(text: str, at: int) -> tuple[Any, int]:
    """The JSON value that begins there, and its end; None where there is none."""
    at += len(text[at:]) - len(text[at:].lstrip())
    try:
        return _DECODER.raw_decode(text, at)
    except ValueError:
        return None, at


def _shaped(value: Any) -> dict[str, Any] | None:
    """A name and arguments; None for anything else."""
    if not isinstance(value, dict) or not isinstance(value.get("name"), str) or not value["name"]:
        return None
    arguments = value.get("arguments", value.get("parameters", {}))
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            return None
    return {"name": value["name"], "arguments": arguments} if isinstance(arguments, dict) else None
