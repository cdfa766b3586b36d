"""Counting tokens: tiktoken vocabularies found offline, tokenizer files, a calibrated estimate."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Protocol, TypeVar

from ctxeng.errors import MissingExtra
from ctxeng.extras import environment

# tiktoken caches a vocabulary under the sha1 of its address; with the file there, nothing is fetched
VOCABULARIES = {
    "o200k_base": "fb374d419588a4632f3f557e76b4b70aebbca790",
    "cl100k_base": "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
    "p50k_base": "ec7223a39ce59f226a68acc30dc1af2788490e15",
}
N = TypeVar("N", int, float)
_CACHED_CHARS = 8_192  # longer texts are counted anew: they seldom repeat and would fill the cache
_ESTIMATE_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[ \t]+|[^A-Za-z0-9 \t]")
_HIGHEST = 8.0  # margin; the bytes of a text are its bound in any case
_LONGEST_WORD = 20  # a longer run of letters is no word that a vocabulary holds


class Counter(Protocol):
    """Counts tokens of a text; `exact` is false where the count is an estimate."""

    @property
    def name(self) -> str:
        """What counts."""
        ...

    @property
    def exact(self) -> bool:
        """Whether the count is the model's own."""
        ...

    def count(self, text: str) -> int:
        """Tokens of the text alone, with no special tokens around it."""
        ...


@dataclass(frozen=True)
class Overhead:
    """Tokens that providers bill around the text: per message, per reply, per tool, once for any tools.

    The defaults are OpenAI's: three per message and one for its role, three that prime the reply.
    """

    message: int = 4
    priming: int = 3
    tool: int = 8
    tools: int = 12


def remembered(count: Callable[[str], N]) -> Callable[[str], N]:
    """The same count, remembered for short texts (entries and messages come back every turn)."""
    short = lru_cache(maxsize=65_536)(count)
    return lambda text: short(text) if len(text) <= _CACHED_CHARS else count(text)


@dataclass(frozen=True)
class Exact:
    """A counter that agrees with the model's own tokenizer."""

    name: str
    count: Callable[[str], int] = field(repr=False)
    exact: bool = True


@dataclass(frozen=True)
class Estimate:
    """Characters weighed by class, times a margin."""

    margin: float = 1.2
    name: str = "estimate"
    exact: bool = False

    def count(self, text: str) -> int:
        """An upper guess in tokens; never more than the UTF-8 bytes plus one."""
        return min(int(self.margin * _raw_estimate(text)) + 1, len(text.encode()) + 1) if text else 0


@dataclass(frozen=True)
class Calibrated:
    """An estimate whose margin rises whenever a provider bills more than was counted; it never falls.

    One per model: what one provider bills says nothing of another's tokenizer.
    """

    name: str = "estimate"
    exact: bool = False
    _now: list[Estimate] = field(default_factory=lambda: [Estimate()], repr=False, compare=False)

    @property
    def margin(self) -> float:
        """What the weighed characters are multiplied by."""
        return self._now[0].margin

    def count(self, text: str) -> int:
        """An upper guess in tokens."""
        return self._now[0].count(text)

    def billed(self, tokens: int, counted: int) -> None:
        """Take note of a prompt that was counted as `counted` and billed as `tokens`."""
        if tokens > counted > 0:
            # five in a hundred more, so that the next prompt a little unlike this one is covered too
            self._now[0] = Estimate(min(_HIGHEST, 1.05 * self.margin * tokens / counted))


def _weighed(text: str) -> float:
    total = 0.0
    for part in _ESTIMATE_PARTS.findall(text):
        if part[0].isascii() and part[0].isalpha():
            total += 1 + (len(part) - 1) // 6 if len(part) <= _LONGEST_WORD else len(part) / 1.5
        elif part[0].isascii() and part[0].isdigit():
            total += (len(part) + 2) // 3
        elif part[0] in " \t":
            total += 0 if len(part) == 1 else 1  # one space belongs to the word after it
        else:
            total += 1 if part.isascii() else _BYTES_BILLED[len(part.encode("utf-8", "replace"))]
    return total


_BYTES_BILLED = {
    1: 1.0,
    2: 1.0,
    3: 1.5,
    4: 4.0,
}  # a character; rare scripts go byte by byte
_raw_estimate = remembered(_weighed)


@lru_cache
def tiktoken_counter(encoding: str) -> Counter | None:
    """Exact counts of a tiktoken encoding, or None where its vocabulary is not on this machine."""
    folder = vocabulary_folder(encoding)
    if folder is None:
        return None
    import tiktoken  # noqa: PLC0415 - 0.1 s, and only where a vocabulary was found

    with environment(TIKTOKEN_CACHE_DIR=str(folder)):
        loaded = tiktoken.get_encoding(encoding)
    return Exact(f"tiktoken:{encoding}", remembered(lambda text: len(loaded.encode_ordinary(text))))


def vocabulary_folder(encoding: str) -> Path | None:
    """Where the vocabulary lies offline: the user's tiktoken cache, or the copy inside litellm."""
    candidates = [
        Path(found)
        for name in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR")
        if (found := os.environ.get(name))
    ]
    litellm = importlib.util.find_spec("litellm")
    if litellm is not None and litellm.origin is not None:
        candidates.append(Path(litellm.origin).parent / "litellm_core_utils" / "tokenizers")
    name = VOCABULARIES.get(encoding, "")
    return next((folder for folder in candidates if name and (folder / name).is_file()), None)


@lru_cache
def tokenizer_counter(path: Path) -> Counter:
    """Exact counts of a Hugging Face `tokenizer.json` (the file or its folder). Raises MissingExtra."""
    try:
        from tokenizers import Tokenizer  # noqa: PLC0415 - an optional dependency
    except ImportError as error:
        raise MissingExtra("onbox", "tokenizers") from error
    loaded = Tokenizer.from_file(str(path / "tokenizer.json" if path.is_dir() else path))
    loaded.no_truncation()  # sentence encoders ship a file that cuts and pads
    loaded.no_padding()
    return Exact(
        f"tokenizer:{path.name}",
        remembered(lambda text: len(loaded.encode(text, add_special_tokens=False).ids)),
    )


def counter_for(model: str) -> Counter:
    """The best counter here for a model id: exact where its vocabulary is on this machine."""
    family = model.removeprefix("openai/").removeprefix("azure/")
    if re.match(r"(gpt-3|gpt-4(?!o|\.1|\.5)|text-embedding)", family):
        return tiktoken_counter("cl100k_base") or Calibrated()
    if re.match(r"(gpt-|o\d|chatgpt)", family):
        return tiktoken_counter("o200k_base") or Calibrated()
    return Calibrated()
