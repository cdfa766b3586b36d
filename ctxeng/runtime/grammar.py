"""Output held to a JSON Schema, to a set of answers, or to a regular expression, through llguidance."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ctxeng.errors import BadInput, BadReply, MissingExtra
from ctxeng.message import well_formed
from ctxeng.runtime.job import Constraint
from ctxeng.runtime.tokenizer import ByteTokenizer, HfTokenizer, Tokenizer


@dataclass(frozen=True)
class Grammars:
    """Grammars over one tokenizer. `vocabulary` is the model's, which may have more ids than the tokenizer.

    `stop` are the ids that end an answer; they are allowed where the grammar is complete, and nowhere else.
    Raises BadInput for stop ids that are none, MissingExtra without llguidance.
    """

    tokenizer: Tokenizer
    vocabulary: int
    stop: tuple[int, ...]
    _kept: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        odd = next((token for token in self.stop if not 0 <= token < self.vocabulary), None)
        if odd is not None:
            raise BadInput(f"stop token {odd} is none of the {self.vocabulary} the model knows")

    def json_schema(self, schema: dict[str, Any]) -> Grammar:
        """JSON that fits the schema, written without spaces to spare. Raises BadInput by the keyword."""
        try:
            text = json.dumps(schema)
        except (TypeError, ValueError) as error:
            raise BadInput(f"a JSON Schema has to be JSON: {error}") from None
        if not text.startswith("{"):
            raise BadInput(f"a JSON Schema has to be an object, not {text[:40]}")
        options = {"whitespace_flexible": False}
        return self._made(_library().LLMatcher.grammar_from_json_schema(text, overrides=options))

    def choices(self, answers: Sequence[str]) -> Grammar:
        """One of these texts, word for word."""
        if not answers:
            raise BadInput("a choice needs at least one answer to choose")
        return self.regex("|".join(_literal(answer) for answer in answers))

    def regex(self, pattern: str) -> Grammar:
        """Text that the regular expression matches whole."""
        return self._made(_library().LLMatcher.grammar_from_regex(pattern))

    def _made(self, grammar: str) -> Grammar:
        library = _library()
        if not self.stop:
            raise BadInput(
                "constrained output needs a token that ends it: name eos_token_id in the model's config.json"
            )
        failed, said = library.LLMatcher.validate_grammar_with_warnings(grammar, self._native())
        if failed or said:  # a keyword that would be passed over is no less an error
            raise BadInput(f"this form cannot be enforced: {' '.join(said)}")
        return Grammar(self, grammar)

    def _native(self) -> Any:
        if "native" not in self._kept:
            try:
                self._kept["native"] = self._read()
            except (TypeError, ValueError) as error:
                raise BadInput(f"constrained output cannot read this tokenizer: {error}") from None
        return self._kept["native"]

    def _read(self) -> Any:
        library, tokenizer = _library(), self.tokenizer
        if isinstance(tokenizer, HfTokenizer):
            source = tokenizer.path.read_text(encoding="utf-8")
        elif isinstance(tokenizer, ByteTokenizer):
            source = library.TokenizerWrapper(_Bytes(tokenizer, self.stop))
        else:
            raise TypeError(f"a {type(tokenizer).__name__} is no tokenizer.json")
        return library.LLTokenizer(source, n_vocab=self.vocabulary, eos_token=list(self.stop))


@dataclass(frozen=True)
class Grammar:
    """A compiled form; each call begins a new output: `Generate(constraint=grammar)`."""

    grammars: Grammars
    text: str

    def __call__(self) -> Constraint:
        """A fresh constraint."""
        matcher = _library().LLMatcher(self.grammars._native(), self.text, log_level=0)  # noqa: SLF001 - our own
        if matcher.is_error():
            raise BadInput(f"this form cannot be enforced: {matcher.get_error()}")
        return _Matching(matcher, self.grammars)


@dataclass
class _Matching:
    """A matcher at work on one output."""

    matcher: Any
    grammars: Grammars

    def mask(self) -> Tensor:
        """Which tokens may come next, bool [vocab]."""
        words = np.frombuffer(self.matcher.compute_bitmask(), np.uint8)
        bits = np.unpackbits(words, bitorder="little")[: self.grammars.vocabulary].astype(bool)
        found = torch.zeros(self.grammars.vocabulary, dtype=torch.bool)
        found[: len(bits)] = torch.from_numpy(bits)
        found[self.grammars.tokenizer.size :] = False
        return found

    def accept(self, token: int) -> None:
        """The token was chosen. Raises BadReply for one that was not allowed."""
        if token in self.grammars.stop and (self.matcher.is_accepting() or self.matcher.is_stopped()):
            return
        if not self.matcher.consume_token(token):
            raise BadReply(f"token {token} does not fit the form: {self.matcher.get_error()}")


class _Bytes:
    """A tokenizer of bytes in the form that the library asks for."""

    def __init__(self, tokenizer: ByteTokenizer, stop: Sequence[int]) -> None:
        self.tokenizer = tokenizer
        self.eos_token_id = stop[0]
        self.bos_token_id = None
        self.tokens = [
            bytes([i]) if i < 256 else tokenizer.token(i).encode()  # noqa: PLR2004 - bytes
            for i in range(tokenizer.size)
        ]
        self.special_token_ids = list(range(256, tokenizer.size))

    def __call__(self, text: str | bytes) -> list[int]:
        return list(text.encode() if isinstance(text, str) else text)


def _literal(text: str) -> str:
    """A regular expression that matches this text alone. Raises BadInput for half a surrogate pair."""
    if text != well_formed(text):
        raise BadInput(f"{text!r} cannot be written in UTF-8")
    return "".join(c if c.isascii() and c.isalnum() else f"\\x{{{ord(c):x}}}" for c in text)


def _library() -> Any:
    try:
        import llguidance  # noqa: PLC0415 - seldom needed
    except ModuleNotFoundError:
        raise MissingExtra("local", "llguidance") from None
    return llguidance
