"""The journal's file: lines appended by many processes, read on from where this one stopped."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ctxeng.playbook.journal import GIT_ATTRIBUTES
from ctxeng.storage.atomic import sync_folder, write_atomic

_BINARY: int = getattr(os, "O_BINARY", 0)  # Windows would turn line ends


class JournalFile:
    """Appends and reads under the lock of its store. `offset` is how far it was read, in bytes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self.line = 1  # number of the line at the offset
        self._descriptor = -1
        self._torn = 0  # bytes of a last line without an end

    def unread(self) -> bytes | None:
        """The whole lines that were appended since; None where the file was replaced: read it all again."""
        if self._descriptor < 0 and not self._open():
            return b"" if not self.offset else None
        state = os.fstat(self._descriptor)
        try:
            there = os.stat(self.path)  # noqa: PTH116 - half the time of Path.stat, for every delta
        except FileNotFoundError:
            return None
        if there.st_ino != state.st_ino or state.st_size < self.offset:
            return None
        if state.st_size == self.offset + self._torn:
            return b""
        data = self._read(self.offset, state.st_size - self.offset)
        whole = data[: data.rfind(b"\n") + 1]
        self.offset += len(whole)
        self.line += whole.count(b"\n")
        self._torn = len(data) - len(whole)
        return whole

    @property
    def note(self) -> str:
        """In words, what is wrong with the last line; "" if nothing is."""
        return f"{self.path}:{self.line}: skipped a torn line of {self._torn} bytes" if self._torn else ""

    def append(self, line: bytes, *, sync: bool) -> int:
        """Where the line starts. It is with the operating system on return, and with `sync` on the disk.

        OSError where the disk is full; the file is then as it was.
        """
        if self._descriptor < 0:
            self._create()
        data = b"\n" + line if self._torn else line
        start = self.offset + self._torn
        if os.write(self._descriptor, data) != len(data):
            os.ftruncate(self._descriptor, start)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        self.offset = start + len(data)
        self.line += data.count(b"\n")
        self._torn = 0
        if sync:
            self.sync()
        return self.offset - len(line)

    def line_at(self, start: int) -> bytes:
        """The line that starts there, without its end."""
        data = b""
        while b"\n" not in data:
            piece = self._read(start + len(data), 65536)
            if not piece:
                break
            data += piece
        return data.partition(b"\n")[0]

    def rewrite(self, data: bytes) -> None:
        """The file holds these lines instead; whoever has it open reads it all again."""
        self.close()
        write_atomic(self.path, data)

    def sync(self) -> None:
        """What was appended survives a power loss."""
        if self._descriptor >= 0:
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Closed, and at its start again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self.offset, self.line, self._torn = -1, 0, 1, 0

    def at(self, offset: int, line: int) -> bool:
        """Whether the file is that long; reading then goes on from there."""
        if self._descriptor < 0 and not self._open():
            return False
        if os.fstat(self._descriptor).st_size < offset:
            return False
        self.offset, self.line = offset, line
        return True

    def _open(self) -> bool:
        try:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | _BINARY)
        except FileNotFoundError:
            return False
        except PermissionError:  # a playbook that is only read
            self._descriptor = os.open(self.path, os.O_RDONLY | _BINARY)
        return True

    def _create(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | _BINARY
        self._descriptor = os.open(self.path, flags, 0o644)
        sync_folder(self.path.parent)
        _teach_git(self.path.parent)

    def _read(self, offset: int, size: int) -> bytes:
        os.lseek(self._descriptor, offset, os.SEEK_SET)
        pieces = []
        while size > 0:
            piece = os.read(self._descriptor, size)
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


def _teach_git(folder: Path) -> None:
    """In a git work tree, journals are merged as a union from now on."""
    absolute = folder.resolve()
    if not any((parent / ".git").exists() for parent in (absolute, *absolute.parents)):
        return
    attributes = folder / ".gitattributes"
    text = attributes.read_text(encoding="utf-8") if attributes.exists() else ""
    if GIT_ATTRIBUTES not in text:
        ending = "\n" if text and not text.endswith("\n") else ""
        write_atomic(attributes, text + ending + GIT_ATTRIBUTES, sync=False)
