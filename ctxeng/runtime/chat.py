"""Chat templates: messages and tools as pieces of text with glue between them, each to be tokenised apart.

A template is a program that came with the weights: it runs sandboxed, sees no object of ours, and whatever it
makes of somebody's words, they never turn into special tokens. Its loops end when `seconds` are over, its
output at `MOST` characters; it can still waste memory, as by joining a text with itself.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ctxeng.errors import BadInput
from ctxeng.runtime.sandbox import MOST, TICK, compiled, deadline, refuse
from ctxeng.runtime.tokenizer import Tokenizer

CHATML = """{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"""
_BREAK = "\N{ZERO WIDTH SPACE}"
_STRUCTURE = {"role", "type"}
_LETTERS = re.compile(r"[^\W_]|[<>|/\[\]_]")


@dataclass(frozen=True)
class Rendered:
    """A run of the rendered prompt: glue is the template's, the rest somebody's words.

    `source` is the number of the message whose content it is, -1 for glue.
    """

    text: str
    source: int = -1

    @property
    def glue(self) -> bool:
        """Whether special tokens in it are meant."""
        return self.source < 0


@dataclass(frozen=True)
class ChatTemplate:
    """A Jinja2 chat template as Hugging Face ships them. `default`: the folder had none; ChatML is used.

    `plain` is used instead of `text` where no tools are given; empty: `text` serves for both.
    """

    text: str = CHATML
    bos: str = ""
    eos: str = ""
    name: str = "chat template"
    default: bool = True
    plain: str = ""
    seconds: float = 10.0  # that it may take

    @classmethod
    def read(cls, folder: str | Path) -> ChatTemplate:
        """The template of a model's folder. Raises BadInput for files that are none."""
        folder = Path(folder)
        facts = _json(folder / "tokenizer_config.json")
        known = _json(folder / "special_tokens_map.json") | {k: v for k, v in facts.items() if v}
        bos, eos = (_token(known.get(name)) for name in ("bos_token", "eos_token"))
        path = folder / "chat_template.jinja"
        if path.is_file():
            return cls(_text(path), bos, eos, f"{folder.name}/{path.name}", default=False)
        path = folder / "chat_template.json"
        found = _json(path).get("chat_template")
        if found is None:
            path, found = folder / "tokenizer_config.json", facts.get("chat_template")
        plain = ""
        if isinstance(found, list):  # several by name
            named = {str(e.get("name")): e.get("template") for e in found if isinstance(e, Mapping)}
            plain = str(named.get("default") or "")
            found = named.get("tool_use") or plain
        if isinstance(found, str) and found:
            return cls(found, bos, eos, f"{folder.name}/{path.name}", default=False, plain=plain)
        return cls(bos=bos, eos=eos)

    def pieces(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] = (),
        *,
        special: Sequence[str] = (),
        reply: bool = True,
    ) -> list[Rendered]:
        """The prompt in runs. `special` are the tokenizer's special tokens, `reply` begins the answer.

        Contents are put in after rendering. Where a template changes them (trims, splits), they go through it
        instead, with special tokens in them broken by a zero-width space; so are those in all other fields
        and in tools, always. Raises BadInput for a template that fails, with what it said, and for one that
        puts words together so that they become special tokens.
        """
        inert = [_inert(message, special) for message in messages]
        safe = [_inert(tool, special) for tool in tools]
        straight = self._render(inert, safe, reply=reply)
        mark = secrets.token_hex(8)
        holes = [_hole(message, f"\ue000{mark}:{n}\ue001") for n, message in enumerate(inert)]
        rendered = self._render(holes, safe, reply=reply)
        self._check(straight, self._neutral(inert, safe, reply=reply) or rendered, special)
        runs = _split(rendered, mark)
        contents = [message.get("content") for message in inert]
        if "".join(_filled(run, contents) for run in runs) != straight:
            return [Rendered(straight)]
        words = [message.get("content") for message in messages]
        return [Rendered(_filled(run, words), run.source) for run in runs if _filled(run, words)]

    def _neutral(self, messages: Sequence[Any], tools: Sequence[Any], *, reply: bool) -> str:
        """The prompt with neutral words; empty for a template that does not take such."""
        try:
            return self._render(_neutral(messages), _neutral(tools), reply=reply)
        except BadInput:
            return ""

    def _check(self, text: str, neutral: str, special: Sequence[str]) -> None:
        """Raises BadInput where the prompt has special tokens that it has not with neutral words."""
        for token in special:
            if text.count(token) > neutral.count(token):
                raise BadInput(f"{self.name}: the chat template makes {token!r} out of these words")

    def _render(self, messages: Sequence[Any], tools: Sequence[Any], *, reply: bool) -> str:
        given = {
            "messages": messages,
            "tools": list(tools) or None,
            "add_generation_prompt": reply,
            "bos_token": self.bos,
            "eos_token": self.eos,
            TICK: deadline(self.seconds),
        }
        template = self._with_tools if tools or not self.plain else self._without
        found, size = [], 0
        try:
            for text in template.generate(given):
                found.append(text)
                size += len(text)
                if size > MOST:
                    refuse(f"more than {MOST:,} characters came out of it")
        except Exception as error:  # noqa: BLE001 - a template can fail in any way
            raise BadInput(f"{self.name}: the chat template refused these messages: {error}") from None
        return "".join(found)

    @cached_property
    def _with_tools(self) -> Any:
        return compiled(self.text, self.name)

    @cached_property
    def _without(self) -> Any:
        return compiled(self.plain, self.name)


def encode(pieces: Sequence[Rendered], tokenizer: Tokenizer) -> list[int]:
    """Tokens of the whole prompt; each piece by itself, special tokens only where the template wrote them."""
    return [token for piece in pieces for token in encode_piece(piece, tokenizer)]


def encode_piece(piece: Rendered, tokenizer: Tokenizer) -> list[int]:
    """Tokens of one piece."""
    return tokenizer.encode_special(piece.text) if piece.glue else tokenizer.encode(piece.text)


def _split(text: str, mark: str) -> list[Rendered]:
    """Glue and the places of contents, in order."""
    found: list[Rendered] = []
    for number, part in enumerate(re.split(f"\ue000{mark}:(\\d+)\ue001", text)):
        found.append(Rendered("", int(part)) if number % 2 else Rendered(part))
    return found


def _filled(run: Rendered, contents: Sequence[Any]) -> str:
    return run.text if run.glue else str(contents[run.source])


def _hole(message: Mapping[str, Any], hole: str) -> dict[str, Any]:
    content = message.get("content")
    return {**message, "content": hole} if isinstance(content, str) and content else dict(message)


def _inert(value: Any, special: Sequence[str]) -> Any:
    """The same, with every special token in a text broken."""
    if isinstance(value, str):
        for token in special:
            while len(token) > 1 and token in value:  # once is not enough where one overlaps itself
                value = value.replace(token, token[0] + _BREAK + token[1:])
        return value
    if isinstance(value, Mapping):
        return {_inert(key, special): _inert(inner, special) for key, inner in value.items()}
    return [_inert(inner, special) for inner in value] if isinstance(value, list | tuple) else value


def _neutral(value: Any, key: str = "") -> Any:
    """The same with an x for every letter and digit of somebody's words; what a template asks about stays."""
    if isinstance(value, str):
        return value if key in _STRUCTURE else _LETTERS.sub("x", value)
    if isinstance(value, Mapping):
        return {name: _neutral(inner, str(name)) for name, inner in value.items()}
    return [_neutral(inner, key) for inner in value] if isinstance(value, list | tuple) else value


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not UTF-8 ({error})") from None


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not JSON ({error})") from None
    return found if isinstance(found, dict) else {}


def _token(value: Any) -> str:
    return str(value.get("content", "")) if isinstance(value, Mapping) else str(value or "")
