"""Files that are never half written: a temporary file beside the target, synced, then renamed over it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_atomic(path: Path | str, data: str | bytes, *, sync: bool = True) -> None:
    """The file holds the data, whole, or is untouched. `sync` makes it survive a power loss as well.

    The file keeps its permissions; a symbolic link stays one and its target is written.
    """
    target = Path(os.path.realpath(path))
    raw = data.encode() if isinstance(data, str) else data
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        Path(name).chmod(_mode(target))
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    if sync:
        sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """The folder's names survive a power loss; nothing to do where a folder cannot be opened (Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mode(target: Path) -> int:
    """The permissions of the file that is replaced, or those a new file gets here."""
    if target.exists():
        return target.stat().st_mode & 0o777
    return 0o644
