"""A model's folder, opened: decoder, tokenizer, chat template, and the engine that runs them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from ctxeng.errors import BadInput
from ctxeng.kv.prefix import PrefixStore
from ctxeng.runtime.calls import MARKS, Form, detect
from ctxeng.runtime.chat import ChatTemplate
from ctxeng.runtime.engine import Engine
from ctxeng.runtime.grammar import Grammars
from ctxeng.runtime.prompt import Prompt
from ctxeng.runtime.tokenizer import HfTokenizer, Tokenizer
from ctxeng.runtime.typed import Mark, Typing, names_of
from ctxeng.runtime.weights import Dtype, load


@dataclass(frozen=True)
class Box:
    """One model on this machine. Several `LocalModel`s (one a role, say) may share it. Close it when done."""

    name: str
    engine: Engine
    tokenizer: Tokenizer
    template: ChatTemplate
    form: Form | None
    stop: tuple[int, ...]

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        memory: int = 1 << 30,
        dtype: Dtype = "auto",
        weights: str = "none",
        chunk: int = 512,
        store: str | Path | None = None,
    ) -> Self:
        """Load a folder of Hugging Face weights: config.json, safetensors (or one GGUF file), tokenizer.json.

        `memory` caps the key-value cache (bytes), `weights` packs matrices (none, int8, int4), `store` is a
        folder where read prefixes stay for the next process. Nothing is fetched. Raises BadInput by file.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise BadInput(f"{folder}: no such folder; local: takes a folder of Hugging Face weights")
        tokenizer = HfTokenizer(folder / "tokenizer.json", MARKS)
        template = ChatTemplate.read(folder)
        decoder = load(folder, dtype, weights)
        if tokenizer.size > decoder.config.vocab:
            raise BadInput(
                f"{folder}: tokenizer.json has {tokenizer.size} tokens, the weights {decoder.config.vocab}; "
                "they are not of one model"
            )
        kept = PrefixStore(Path(store) if store is not None else None)
        engine = Engine(decoder, tokenizer, memory=memory, chunk=chunk, store=kept)
        stop = _stops(folder, decoder.config.stop, template, tokenizer)
        return cls(folder.name, engine, tokenizer, template, detect(template.text), stop)

    @property
    def window(self) -> int:
        """Positions the model was made for, in tokens."""
        return self.engine.decoder.config.max_positions

    @cached_property
    def grammars(self) -> Grammars:
        """Forms that output can be held to."""
        return Grammars(self.tokenizer, self.engine.decoder.config.vocab, self.stop)

    def prompt(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] = (),
        marks: Sequence[Mark] = (),
    ) -> Prompt:
        """Messages and tools as the template says them, in typed parts of tokens.

        `marks` are texts within messages that are parts of their own. Where the template does not let them be
        found, all is read in order, and the prompt's notes say so.
        """
        plain = [_plain(message) for message in messages]
        rendered = self.template.pieces(plain, tools, special=self.tokenizer.reserved)
        roles = [str(message.get("role")) for message in plain]
        return Typing(self.tokenizer, roles, marks, names_of(tools)).prompt(rendered)

    def close(self) -> None:
        """End the engine. Idempotent."""
        self.engine.close()


def _plain(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message as templates expect it: content as text, arguments of calls as objects.

    Raises BadInput for an image: no family here can see.
    """
    content, calls = message.get("content"), message.get("tool_calls")
    if isinstance(content, list):
        odd = next((part["type"] for part in content if part.get("type") != "text"), None)
        if odd is not None:
            raise BadInput(f"a {odd} part: the local runtime reads text only")
        content = "".join(part["text"] for part in content)
    made = {**message, "content": content or ""}
    made.pop("opaque", None)
    if calls:
        made["tool_calls"] = [{**c, "function": {**c["function"], "arguments": _object(c)}} for c in calls]
    return made


def _object(call: Mapping[str, Any]) -> Any:
    arguments = call["function"].get("arguments", {})
    try:
        return json.loads(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        return arguments  # a malformed call of an earlier turn is shown as it was


def _stops(
    folder: Path, configured: tuple[int, ...], template: ChatTemplate, tokenizer: Tokenizer
) -> tuple[int, ...]:
    """Every token that ends an answer: by config.json, generation_config.json and the tokenizer's own end."""
    found = list(configured)
    path = folder / "generation_config.json"
    if path.is_file():
        try:
            stated = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id")
        except (ValueError, AttributeError) as error:
            raise BadInput(f"{path}: not JSON ({error})") from None
        found += stated if isinstance(stated, list) else [] if stated is None else [stated]
    if template.eos:
        ids = tokenizer.encode_special(template.eos)
        found += ids if len(ids) == 1 else []
    if "<|im_end|>" in tokenizer.special and "<|im_end|>" in template.text:
        found += tokenizer.encode_special("<|im_end|>")
    return tuple(dict.fromkeys(int(token) for token in found))
