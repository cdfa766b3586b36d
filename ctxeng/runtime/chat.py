"""Chat templates: messages and tools as pieces of text with glue between them, each to be tokenised apart.

A template is a program that came with the weights: it runs sandboxed, sees no object of ours, and whatever it
makes of somebody's words, they never turn into special tokens.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ctxeng.errors import BadInput, MissingExtra
from ctxeng.runtime.tokenizer import Tokenizer

LIMIT = 200_000  # characters of a template
CHATML = """{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"""
_BREAK = "\N{ZERO WIDTH SPACE}"


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
    """A Jinja2 chat template as Hugging Face ships them. `default`: the folder had none; ChatML is used."""

    text: str = CHATML
    bos: str = ""
    eos: str = ""
    name: str = "chat template"
    default: bool = True

    @classmethod
    def read(cls, folder: str | Path) -> ChatTemplate:
        """The template of a model's folder. Raises BadInput for files that are none."""
        folder = Path(folder)
        facts = _json(folder / "tokenizer_config.json")
        bos, eos = (_token(facts.get(name)) for name in ("bos_token", "eos_token"))
        path = folder / "chat_template.jinja"
        if path.is_file():
            return cls(path.read_text(encoding="utf-8"), bos, eos, path.name, default=False)
        found = _json(folder / "chat_template.json").get("chat_template", facts.get("chat_template"))
        if isinstance(found, list):  # several by name: the plain one
            named = {str(entry.get("name")): entry.get("template") for entry in found}
            found = named.get("tool_use") or named.get("default")
        if isinstance(found, str):
            return cls(found, bos, eos, "tokenizer_config.json", default=False)
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
        instead, with special tokens in them broken by a zero-width space. Raises BadInput for a template that
        fails, with what it said.
        """
        inert = [_inert(message, special) for message in messages]
        safe = [_inert(tool, special) for tool in tools]
        straight = self._render(inert, safe, reply=reply)
        mark = secrets.token_hex(8)
        holes = [_hole(message, f"\ue000{mark}:{n}\ue001") for n, message in enumerate(inert)]
        runs = _split(self._render(holes, safe, reply=reply), mark)
        contents = [message.get("content") for message in inert]
        if "".join(_filled(run, contents) for run in runs) != straight:
            return [Rendered(straight)]
        words = [message.get("content") for message in messages]
        return [Rendered(_filled(run, words), run.source) for run in runs if _filled(run, words)]

    def _render(self, messages: Sequence[Any], tools: Sequence[Any], *, reply: bool) -> str:
        try:
            found = self._compiled().render(
                messages=messages,
                tools=list(tools) or None,
                add_generation_prompt=reply,
                bos_token=self.bos,
                eos_token=self.eos,
            )
        except Exception as error:  # noqa: BLE001 - a template can fail in any way
            raise BadInput(f"{self.name}: the chat template refused these messages: {error}") from None
        return str(found)

    def _compiled(self) -> Any:
        try:
            from jinja2.ext import loopcontrols  # noqa: PLC0415 - seldom needed
            from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415
        except ModuleNotFoundError:
            raise MissingExtra("local", "jinja2") from None
        if len(self.text) > LIMIT:
            raise BadInput(f"{self.name}: a chat template of {len(self.text)} characters is none")
        kind = ImmutableSandboxedEnvironment
        environment = kind(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
        environment.filters["tojson"] = _to_json
        environment.globals |= {"raise_exception": _raise, "strftime_now": _now}
        return environment.from_string(self.text)


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
            if len(token) > 1 and token in value:
                value = value.replace(token, token[0] + _BREAK + token[1:])
        return value
    if isinstance(value, Mapping):
        return {key: _inert(inner, special) for key, inner in value.items()}
    return [_inert(inner, special) for inner in value] if isinstance(value, list | tuple) else value


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


def _to_json(value: Any, indent: int | None = None, **_: Any) -> str:
    """Plain JSON: Jinja2's own escapes angle brackets for HTML."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _raise(message: str) -> None:
    raise ValueError(message)


def _now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)
