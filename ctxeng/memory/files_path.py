"""Paths as a model writes them, and nothing but a file inside one folder behind them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import JsonValue

from ctxeng.errors import BadInput

ROOT = "/memories"
_LONGEST = 120  # bytes of a name
_DEEPEST = 8
_LEVELS = 2  # that a listing shows


def within(root: Path, given: JsonValue) -> Path:
    """The path inside the folder `root`. Raises BadInput for one that is none, or leads out of it."""
    if not isinstance(given, str) or not (given == ROOT or given.startswith(f"{ROOT}/")):
        raise BadInput(f"a path begins with {ROOT}, for example {ROOT}/notes.md")
    names = [name for name in given.removeprefix(ROOT).split("/") if name]
    if len(names) > _DEEPEST:
        raise BadInput(f"a path has at most {_DEEPEST} levels")
    path = root
    for name in names:
        if name.startswith(".") or "\\" in name or ":" in name or not name.isprintable():
            raise BadInput(f"{name[:40]!r} is no name: no leading dot, backslash, colon or control character")
        if len(name.encode("utf-8", "replace")) > _LONGEST or name != name.strip():
            raise BadInput(f"{name[:40]!r} is no name: at most {_LONGEST} bytes, no space at its ends")
        path /= name
        if path.is_symlink():
            raise BadInput(f"{shown(root, path)} is a link, and links are not followed")
    return path


def deepest(path: Path) -> str:
    """The tail of the longest path below this one: empty for a file; "/a/b" where the deepest is a/b."""
    below = (each.relative_to(path) for each in path.rglob("*")) if path.is_dir() else iter(())
    longest = max(below, key=lambda each: len(each.parts), default=None)
    return f"/{longest.as_posix()}" if longest else ""


def shown(root: Path, path: Path) -> str:
    """The path as the model knows it."""
    inner = path.relative_to(root).as_posix()
    return ROOT if inner == "." else f"{ROOT}/{inner}"


def walked(root: Path, path: Path, level: int = 0) -> Iterator[tuple[str, str]]:
    """Each file and folder below, two levels deep: its path and its size; links and hidden ones left out."""
    for each in sorted(path.iterdir()):
        if each.name.startswith(".") or each.is_symlink():
            continue
        yield shown(root, each), "folder" if each.is_dir() else f"{each.stat().st_size:,} bytes"
        if each.is_dir() and level + 1 < _LEVELS:
            yield from walked(root, each, level + 1)
