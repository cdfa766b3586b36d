"""What the commands share: where output goes, JSON, files and names as a person writes them."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from ctxeng.errors import BadInput

JsonFlag = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout, nothing else.")]
YAML = (".yaml", ".yml")
_PIPED = 200  # columns where nobody's terminal says otherwise
_CONTROLS = {code: None for code in (*range(32), 127, *range(128, 160)) if chr(code) not in "\n\t"}


def out() -> Console:
    """Where results go."""
    return _console(stderr=False)


def notes() -> Console:
    """Where progress and remarks go, so that results can be piped."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    # no markup: what stands in [brackets] is text, above all in what models and people wrote
    return Console(stderr=stderr, highlight=False, markup=False, width=None if stream.isatty() else _PIPED)


def note(text: str) -> None:
    """A remark for people."""
    notes().print(Text(plain(text), style="dim"), soft_wrap=True)


def complain(text: str) -> None:
    """What went wrong, for people."""
    notes().print(Text.assemble(("ctxeng: ", "bold red"), plain(text)), soft_wrap=True)


def emit(value: Any) -> None:
    """One JSON document, or one line of a stream of them."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=_jsonable) + "\n")
    sys.stdout.flush()


def _jsonable(value: Any) -> Any:
    """Values of ours, paths, and mappings that json does not know."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return dict(value) if isinstance(value, Mapping) else str(value)


def plain(text: str) -> str:
    """The text without control characters: what a model or a file says cannot drive the terminal."""
    return text.translate(_CONTROLS)


def clipped(text: str, width: int) -> str:
    """The text in one line of at most `width` characters."""
    line = " ".join(plain(text).split())
    return line if len(line) <= width else line[: width - 1] + "…"


def person() -> str:
    """Who answers for a change made here."""
    try:
        return f"person:{getpass.getuser()}"
    except (KeyError, OSError, ImportError):  # a container without a user
        return "person:cli"


def playbook_file(path: Path, *, must_exist: bool = True) -> Path:
    """The path, if it can be a playbook. Raises BadInput."""
    if path.is_dir():
        raise BadInput(f"{path} is a directory; name the YAML file, for example {path / 'playbook.yaml'}")
    if path.suffix not in YAML:
        raise BadInput(f"{path}: a playbook is a .yaml file (the playbook comes first, then the tasks)")
    if must_exist and not path.exists():
        raise BadInput(f"{path}: no such playbook; `ctxeng learn {path} TASKS.jsonl` makes one")
    if not path.parent.is_dir():
        raise BadInput(f"{path}: there is no folder {path.parent}")
    return path


def read_text(path: Path) -> str:
    """The file's text. Raises BadInput with the reason where it has none."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not a text file (byte {error.start} is not UTF-8)") from error
    if "\0" in text:
        raise BadInput(f"{path}: not a text file (it holds NUL bytes)")
    return text


def read_json(path: Path) -> Any:
    """The file as JSON. Raises BadInput with line and column."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise BadInput(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from error
