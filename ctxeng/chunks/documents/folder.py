"""A folder of documents: what is read of it, in which order, and what is passed over and why."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from ctxeng.chunks.documents.document import Document
from ctxeng.chunks.documents.kinds import format_of
from ctxeng.chunks.documents.read import read_documents
from ctxeng.errors import BadInput, MissingExtra
from ctxeng.turn import Trust

# folders of what others wrote or a program made
PASSED_OVER = ("node_modules", "bower_components", "site-packages", "__pycache__", "venv")
LARGEST = 20_000_000  # bytes; more is seldom a text that somebody wrote
_MIB = 1 << 20

OnSkip = Callable[[str, str], None]  # the relative path, and why it is not read


def read_folder(
    folder: Path,
    patterns: Sequence[str] = (),
    *,
    trust: Trust = "untrusted",
    largest: int = LARGEST,
    on_skip: OnSkip | None = None,
) -> Iterator[Document]:
    """The folder's documents, by path; their sources are relative paths with forward slashes.

    Read are the files whose suffix is known or, where `patterns` are given, those whose path matches one
    (`*.md`, `docs/*`; `*` matches slashes too). `on_skip` hears of everything else: hidden files, folders of
    installed packages, links that lead outside, files over `largest` bytes, and files that cannot be read.
    Raises BadInput where there is no such folder, MissingExtra where a library is not installed.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder")
    skip: OnSkip = on_skip or (lambda _source, _why: None)
    for source, path in _files(folder, skip):
        why = _refusal(path, source, patterns, largest)
        if why:
            skip(source, why)
            continue
        try:
            yield from read_documents(path, source, trust)
        except MissingExtra:
            raise  # the same for every file of the kind, and for the user to mend
        except BadInput as error:
            skip(source, str(error).removeprefix(f"{path}: "))


def _files(folder: Path, skip: OnSkip) -> Iterator[tuple[str, Path]]:
    """Relative and full path of every visible file that lies inside, sorted; folders come after files."""
    root = folder.resolve()

    def unreadable(error: OSError) -> None:
        skip(f"{Path(error.filename).relative_to(folder).as_posix()}/", f"cannot be read ({error.strerror})")

    for top, folders, names in os.walk(folder, onerror=unreadable, followlinks=False):
        here = Path(top)
        sources = {name: (here / name).relative_to(folder).as_posix() for name in (*folders, *names)}
        for name in sorted(folders):
            why = _closed(here / name)
            if why:
                skip(f"{sources[name]}/", why)
        folders[:] = sorted(name for name in folders if not _closed(here / name))
        for name in sorted(names):
            path = here / name
            if name.startswith("."):
                skip(sources[name], "hidden")
            elif not path.is_file():
                skip(sources[name], "not a file, or a link to nothing")
            elif path.is_symlink() and not path.resolve().is_relative_to(root):
                skip(sources[name], "a link that leads outside the folder")
            else:
                yield sources[name], path


def _closed(folder: Path) -> str:
    if folder.name.startswith("."):
        return "hidden"
    if folder.name in PASSED_OVER or folder.name.endswith(".egg-info"):
        return "installed or generated"
    return "a link to a folder" if folder.is_symlink() else ""


def _refusal(path: Path, source: str, patterns: Sequence[str], largest: int) -> str:
    if patterns and not any(fnmatchcase(source, pattern) for pattern in patterns):
        return "matches no pattern"
    if not patterns and format_of(path.name) is None:
        return "its suffix is none of those that are read; name it in a pattern to read it as text"
    size = path.stat().st_size
    if size > largest:
        return f"{size / _MIB:.1f} MiB, over the limit of {largest / _MIB:.1f} MiB"
    return ""
