"""Tool calls in generated text, in the forms of Hermes and Qwen, Llama 3, and Mistral.

Text from a model is data: what is not a whole, well-formed call stays text, and nothing here raises.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from ctxeng.turn import Call

Form = Literal["hermes", "llama3", "mistral"]
_Found = tuple[int, int, Call]  # from, to, and the call; its id is empty where the model gave none
_SPACE = re.compile(r"\s*")
_BETWEEN = re.compile(r"[\s;]*")
_CLOSED = re.compile(r"\s*</tool_call>")
_NAMED = re.compile(r"\[TOOL_CALLS\]\s*([\w.-]+)\s*(?:\[CALL_ID\]\s*(\w+)\s*)?\[ARGS\]")
_ID = re.compile(r"[\w-]{1,64}")
# special tokens that text has to keep, else no call would be found in it
MARKS = ("[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "<|python_tag|>")
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
    """The text without its calls, and the calls.

    A call keeps the id the model gave it, if no call before it has the same. The others are numbered from
    `first`: call_1, or call00001 for Mistral, whose templates refuse any id but nine letters and digits.
    """
    calls: list[Call] = []
    known: set[str] = set()
    left, at = [], 0
    for start, end, call in _FINDERS[form](text):
        left.append(text[at:start])
        at = end
        number = first + len(calls)
        own = f"call{number:05}" if form == "mistral" else f"call_{number}"
        fits = _ID.fullmatch(call.id) and call.id not in known
        calls.append(call if fits else call.model_copy(update={"id": own}))
        known.add(calls[-1].id)
    rest = "".join([*left, text[at:]])
    return (rest.strip() if calls else rest), tuple(calls)


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
                bare = "" if self._given else self._text.lstrip()
                found = 0 if not self._given and bare[:1] in {"", "{"} else found
                continue
            at = self._text.find(mark, self._given)
            if at < 0:
                sizes = range(min(len(mark) - 1, len(self._text) - self._given), 0, -1)
                at = next((len(self._text) - n for n in sizes if self._text.endswith(mark[:n])), found)
            found = min(found, at)
        return max(self._given, found)


def _hermes(text: str) -> Iterator[_Found]:
    at = 0
    while (start := text.find("<tool_call>", at)) >= 0:
        value, end = _value(text, start + len("<tool_call>"))
        call, closed = _shaped(value), _CLOSED.match(text, end)
        if call is not None and closed:
            at = closed.end()
            yield start, at, call
        else:  # a mark inside what is malformed begins nothing
            at = text.find("</tool_call>", end)
            if at < 0:
                return


def _llama3(text: str) -> Iterator[_Found]:
    tag = text.find("<|python_tag|>")
    start = max(tag, 0)
    at = start + (len("<|python_tag|>") if tag >= 0 else 0)
    while at < len(text):
        value, end = _value(text, at)
        call = _shaped(value)
        if call is None:
            return
        at = _after(_BETWEEN, text, end)
        yield start, (at if at == len(text) else end), call
        start = end


def _mistral(text: str) -> Iterator[_Found]:
    at = 0
    while (start := text.find("[TOOL_CALLS]", at)) >= 0:
        named = _NAMED.match(text, start)
        value, end = _value(text, named.end() if named else start + len("[TOOL_CALLS]"))
        at = end
        if named:
            value = [{"name": named[1], "arguments": value, "id": named[2]}]
        shaped = [_shaped(item) for item in value] if isinstance(value, list) else []
        whole = [call for call in shaped if call is not None]
        if whole and len(whole) == len(shaped):
            for number, call in enumerate(whole):
                yield (end if number else start), end, call


_FINDERS = {"hermes": _hermes, "llama3": _llama3, "mistral": _mistral}


def _finite(text: str) -> float:
    """A number that can be written again. Raises ValueError for NaN, infinities and what overflows to one."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)


def _value(text: str, at: int) -> tuple[Any, int]:
    """The JSON value that begins there, spaces aside, and its end; None where there is none."""
    at = _after(_SPACE, text, at)
    if text[at : at + 1] not in {"{", "["}:
        return None, at
    try:
        return _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):  # the latter: nested deeper than anything honest is
        return None, at


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _shaped(value: Any) -> Call | None:
    """The call that a name and arguments make; None for anything else."""
    if not isinstance(value, dict) or not isinstance(value.get("name"), str) or not value["name"]:
        return None
    arguments = value.get("arguments", value.get("parameters", {}))
    try:
        if isinstance(arguments, str):  # some models write the object as a string
            arguments = _DECODER.decode(arguments)
        json.dumps([value["name"], arguments], ensure_ascii=False).encode()  # halves of surrogates fail
        given = value.get("id")
        return Call(id=given if isinstance(given, str) else "", name=value["name"], arguments=arguments)
    except (ValueError, RecursionError):  # pydantic's error is a ValueError
        return None
