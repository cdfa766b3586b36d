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
from ctxeng.runtime.job import Constraint
from ctxeng.runtime.tokenizer import HfTokenizer, Tokenizer


@dataclass(frozen=True)
class Grammars:
    """Grammars over one tokenizer. `vocabulary` is the model's, which may have more ids than the tokenizer.

    `stop` are the ids that end an answer; they are allowed where the grammar is complete, and nowhere else.
    Raises MissingExtra without llguidance.
    """

    tokenizer: Tokenizer
    vocabulary: int
    stop: tuple[int, ...]
    _kept: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def json_schema(self, schema: dict[str, Any]) -> Grammar:
        """JSON that fits the schema, written without spaces to spare. Raises BadInput by the keyword."""
        options = {"whitespace_flexible": False}
        return self._made(
            _library().LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides=options)
        )

    def choices(self, answers: Sequence[str]) -> Grammar:
        """One of these texts, word for word."""
        if not answers:
            raise BadInput("a choice needs at least one answer to choose")
        lines = " | ".join(json.dumps(answer, ensure_ascii=False) for answer in answers)
        return self._made(_library().LLMatcher.grammar_from_lark(f"start: {lines}"))

    def regex(self, pattern: str) -> Grammar:
        """Text that the regular expression matches whole."""
        return self._made(_library().LLMatcher.grammar_from_regex(pattern))

    def _made(self, grammar: str) -> Grammar:
        library = _library()
        failed, said = library.LLMatcher.validate_grammar_with_warnings(grammar, self._native())
        if failed or said:  # a keyword that would be passed over is no less an error
            raise BadInput(f"this form cannot be enforced: {' '.join(said)}")
        return Grammar(self, grammar)

    def _native(self) -> Any:
        if "native" not in self._kept:
            library, stop = _library(), list(self.stop) or None
            if isinstance(self.tokenizer, HfTokenizer):
                text = self.tokenizer.path.read_text(encoding="utf-8")
                made = library.LLTokenizer(text, n_vocab=self.vocabulary, eos_token=stop)
            else:
                wrapped = library.TokenizerWrapper(_Bytes(self.tokenizer, self.stop))
                made = library.LLTokenizer(wrapped, n_vocab=self.vocabulary, eos_token=stop)
            self._kept["native"] = made
        return self._kept["native"]


@dataclass(frozen=True)
class Grammar:
    """A compiled form; each call begins a new output: `Generate(constraint=grammar)`."""

    grammars: Grammars
    text: str

    def __call__(self) -> Constraint:
        """A fresh constraint."""
        matcher = _library().LLMatcher(self.grammars._native(), self.text)  # noqa: SLF001 - our own
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

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[int]) -> None:
        self.tokenizer = tokenizer
        self.eos_token_id = stop[0] if stop else tokenizer.size - 1
        self.bos_token_id = None
        self.tokens = [
            bytes([i]) if i < 256 else tokenizer.token(i).encode()  # noqa: PLR2004 - bytes
            for i in range(tokenizer.size)
        ]
        self.special_token_ids = list(range(256, tokenizer.size))

    def __call__(self, text: str | bytes) -> list[int]:
        return list(text.encode() if isinstance(text, str) else text)


def _library() -> Any:
    try:
        import llguidance  # noqa: PLC0415 - seldom needed
    except ModuleNotFoundError:
        raise MissingExtra("local", "llguidance") from None
    return llguidance
