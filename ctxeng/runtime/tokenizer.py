"""Text to tokens: a Hugging Face tokenizer.json, or bytes for tests and examples."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from ctxeng.errors import BadInput


class Tokenizer(Protocol):
    """Text to ids and back. `fingerprint` tells two apart."""

    @property
    def size(self) -> int:
        """How many ids there are."""
        ...

    @property
    def fingerprint(self) -> str:
        """A name that changes when the ids of any text may."""
        ...

    @property
    def special(self) -> tuple[str, ...]:
        """Special tokens as they are written out."""
        ...

    @property
    def reserved(self) -> tuple[str, ...]:
        """All added tokens, called special or not, that nobody's words may become."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of the text; special tokens written out in it are read as text."""
        ...

    def encode_special(self, text: str) -> list[int]:
        """The same, special tokens read as such: for text that we write, never for what others wrote."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text; special tokens are left out."""
        ...

    def token(self, id: int) -> str:  # noqa: A002 - that is what it is
        """The name of one id."""
        ...


@dataclass(frozen=True)
class ByteTokenizer:
    """One id a byte, 0 to 255; what is named in `special` follows."""

    special: tuple[str, ...] = ("<|begin|>", "<|end|>")

    @property
    def reserved(self) -> tuple[str, ...]:
        """The special tokens."""
        return self.special

    @property
    def size(self) -> int:
        """Ids in all."""
        return 256 + len(self.special)

    @property
    def fingerprint(self) -> str:
        """Its name and the special tokens."""
        return f"bytes{self.special}"

    def encode(self, text: str) -> list[int]:
        """Its bytes in UTF-8."""
        return list(text.encode("utf-8", "replace"))

    def encode_special(self, text: str) -> list[int]:
        """The same, special tokens read as such."""
        for number, name in enumerate(self.special):
            head, found, rest = text.partition(name)
            if found:
                return [*self.encode_special(head), 256 + number, *self.encode_special(rest)]
        return self.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """The bytes as text; what is no UTF-8 becomes the replacement character."""
        return bytes(i for i in ids if i < 256).decode("utf-8", "replace")  # noqa: PLR2004 - bytes

    def token(self, id: int) -> str:  # noqa: A002 - that is what it is
        """The byte in hexadecimal, or the special token."""
        return self.special[id - 256] if id >= 256 else f"<0x{id:02X}>"  # noqa: PLR2004 - bytes


@dataclass(frozen=True)
class HfTokenizer:
    """A tokenizer.json, read by the `tokenizers` library. Raises BadInput where there is none.

    `keep` names special tokens that `decode` writes out: the marks of tool calls.
    """

    path: Path
    keep: tuple[str, ...] = ()
    _kept: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        from tokenizers import Tokenizer as Rust  # noqa: PLC0415 - heavy

        if not self.path.is_file():
            raise BadInput(f"{self.path}: no such file; a model's folder needs its tokenizer.json")
        try:
            text = self.path.read_text(encoding="utf-8")
            self._kept["tokenizer"] = Rust.from_str(text)
            plain = Rust.from_str(text)
            plain.encode_special_tokens = True
            self._kept["plain"] = plain
        except Exception as error:  # noqa: BLE001 - the library raises bare exceptions
            raise BadInput(f"{self.path}: not a tokenizer.json ({error})") from None

    @cached_property
    def fingerprint(self) -> str:
        """The content's hash."""
        import hashlib  # noqa: PLC0415 - seldom needed

        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    @cached_property
    def special(self) -> tuple[str, ...]:
        """Special tokens as they are written out."""
        added = self._kept["tokenizer"].get_added_tokens_decoder().values()
        return tuple(token.content for token in added if token.special)

    @cached_property
    def reserved(self) -> tuple[str, ...]:
        """All added tokens, called special or not, that nobody's words may become."""
        added = self._kept["tokenizer"].get_added_tokens_decoder().values()
        return tuple(token.content for token in added if token.special or len(token.content) > 1)

    @property
    def size(self) -> int:
        """Ids in all, added tokens included."""
        return int(self._kept["tokenizer"].get_vocab_size(with_added_tokens=True))

    @cached_property
    def _added(self) -> re.Pattern[str] | None:
        """Tokens that were added without being called special: `<tool_call>`, `<think>`."""
        added = self._kept["tokenizer"].get_added_tokens_decoder().values()
        names = [re.escape(t.content) for t in added if not t.special and len(t.content) > 1]
        return re.compile("|".join(sorted(names, key=len, reverse=True))) if names else None

    def encode(self, text: str) -> list[int]:
        """Ids of the text; special and other added tokens written out in it are read as text."""
        cuts = [match.start() + 1 for match in self._added.finditer(text)] if self._added else []
        parts = (text[a:b] for a, b in itertools.pairwise([0, *cuts, len(text)]))
        encode = self._kept["plain"].encode
        return [token for part in parts for token in encode(part, add_special_tokens=False).ids]

    def encode_special(self, text: str) -> list[int]:
        """The same, special tokens read as such."""
        return list(self._kept["tokenizer"].encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """The text; special tokens are left out, but for those in `keep`."""
        decode, found, begun = self._kept["tokenizer"].decode, "", list[int]()
        for token in ids:
            if token in self._marks:
                found += decode(begun, skip_special_tokens=True) + self._marks[token]
                begun = []
            else:
                begun.append(token)
        return found + str(decode(begun, skip_special_tokens=True))

    @cached_property
    def _marks(self) -> dict[int, str]:
        ids = {name: self._kept["tokenizer"].token_to_id(name) for name in self.keep}
        return {token: name for name, token in ids.items() if token is not None}

    def token(self, id: int) -> str:  # noqa: A002 - that is what it is
        """The name of one id."""
        return str(self._kept["tokenizer"].id_to_token(id) or f"<{id}>")
