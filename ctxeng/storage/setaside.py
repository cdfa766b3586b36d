"""Texts set aside by content: what is long is stored once, and a short reference stands for it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from ctxeng.errors import BadInput, UnknownName
from ctxeng.storage.atomic import write_atomic


class Texts(Protocol):
    """Texts by the sha256 of their content."""

    def put(self, text: str) -> str:
        """The reference of the text, 64 hex digits; putting it twice stores it once."""
        ...

    def get(self, ref: str) -> str:
        """The text; UnknownName where there is none, BadInput where it is not what was put."""
        ...


def reference(text: str) -> str:
    """The sha256 of the text, in hex. Lone surrogates, which UTF-8 cannot hold, are kept as they are."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class SetAside:
    """Texts in a folder, 256 subfolders deep; safe for many processes, since a file's name is its content."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def put(self, text: str) -> str:
        """The reference of the text; written once, whole or not at all."""
        ref = reference(text)
        path = self._path(ref)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, text.encode("utf-8", "surrogatepass"), sync=False)
        return ref

    def get(self, ref: str) -> str:
        """The text, checked against its reference."""
        path = self._path(ref)
        if not _is_reference(ref) or not path.is_file():
            raise UnknownName("set-aside text", ref, ())
        raw = path.read_bytes()
        if hashlib.sha256(raw).hexdigest() != ref:
            raise BadInput(f"{path}: the text is not the one that was set aside; restore it or delete it")
        return raw.decode("utf-8", "surrogatepass")

    def forget(self, ref: str) -> bool:
        """Whether there was such a text; it is gone now."""
        path = self._path(ref)
        if not _is_reference(ref) or not path.is_file():
            return False
        path.unlink()
        return True

    def __contains__(self, ref: str) -> bool:
        return _is_reference(ref) and self._path(ref).is_file()

    def __iter__(self) -> Iterator[str]:
        """All references, in order."""
        return iter(sorted(path.name for path in self.folder.glob("??/*") if _is_reference(path.name)))

    def _path(self, ref: str) -> Path:
        return self.folder / ref[:2] / ref


class MemorySetAside:
    """The same in memory, for tests and for runs that leave nothing behind."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def put(self, text: str) -> str:
        """The reference of the text."""
        ref = reference(text)
        self._texts[ref] = text
        return ref

    def get(self, ref: str) -> str:
        """The text of that reference."""
        if ref not in self._texts:
            raise UnknownName("set-aside text", ref, ())
        return self._texts[ref]

    def forget(self, ref: str) -> bool:
        """Whether there was such a text; it is gone now."""
        return self._texts.pop(ref, None) is not None

    def __contains__(self, ref: str) -> bool:
        return ref in self._texts

    def __iter__(self) -> Iterator[str]:
        """All references, in order."""
        return iter(sorted(self._texts))


def _is_reference(ref: str) -> bool:
    """Whether it is 64 hex digits; anything else must not become a path."""
    return len(ref) == 64 and all(digit in "0123456789abcdef" for digit in ref)  # noqa: PLR2004
