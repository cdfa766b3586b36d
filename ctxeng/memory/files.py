"""Files that a model keeps for itself: the commands of Anthropic's memory tool, over one folder."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from ctxeng.errors import BadInput, StoreLocked
from ctxeng.memory.files_path import ROOT, deepest, shown, walked, within
from ctxeng.protocols import Runner
from ctxeng.storage.atomic import write_atomic
from ctxeng.storage.lock import ProcessLock
from ctxeng.storage.setaside import reference
from ctxeng.turn import Call, Result, Scope, Tool

NAME = "memory"
_WHOSE = "whose.json"  # beside a user's files: whose they are
_COMMANDS = ("view", "create", "str_replace", "insert", "delete", "rename")
_PATH = {"type": "string", "description": f"begins with {ROOT}"}
MEMORY_TOOL = Tool(
    name=NAME,
    description=(
        f"Files under {ROOT} that stay from one conversation to the next. View them before you begin a task, "
        "and write down what a later conversation will need. `view` lists a folder or shows a file with line "
        "numbers (`view_range`: first and last line), `create` writes a new file, `str_replace` replaces a "
        "text that stands in the file once, `insert` puts text behind a line (0: at the beginning), `delete` "
        "removes a file or folder, `rename` moves one."
    ),
    parameters={
        "type": "object",
        "properties": {
            "command": {"type": "string", "enum": list(_COMMANDS)},
            "path": _PATH,
            "view_range": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
            "file_text": {"type": "string"},
            "old_str": {"type": "string"},
            "new_str": {"type": "string"},
            "insert_line": {"type": "integer", "minimum": 0},
            "insert_text": {"type": "string"},
            "old_path": _PATH,
            "new_path": _PATH,
        },
        "required": ["command"],
        "additionalProperties": False,
    },
)


@dataclass(frozen=True)
class MemoryFiles:
    """Answers the tool `memory`; every other call goes to `rest`. A Runner, safe with threads and processes.

    Each tenant and user has a folder of their own inside `folder`, and no path leads out of it: not by dots,
    not by links. A file has at most `longest` characters, a user at most `most` files and folders; a view
    shows at most `page` characters, but a line that is viewed alone is shown whole. What goes wrong is a
    result that says so, and names no path of the machine.
    """

    folder: Path
    rest: Runner | None = None
    longest: int = 100_000
    most: int = 1_000
    page: int = 16_000

    @property
    def tools(self) -> tuple[Tool, ...]:
        """What the model is offered."""
        return (MEMORY_TOOL,)

    def run(self, call: Call, scope: Scope) -> Result:
        """The call's result."""
        if call.name == NAME:
            return self._done(call, scope)
        if self.rest is None:
            return Result(call_id=call.id, text=f"there is no tool named {call.name!r}", is_error=True)
        return self.rest.run(call, scope)

    async def arun(self, call: Call, scope: Scope) -> Result:
        """The same, awaited."""
        if call.name == NAME or self.rest is None:
            return await asyncio.to_thread(self.run, call, scope)
        return await self.rest.arun(call, scope)

    def forget(self, scope: Scope) -> int:
        """How many users' files were removed: all that this filter matches; empty fields match anything.

        Files are a user's, not a session's: a filter with a session matches none.
        """
        homes = list(self.folder.glob(f"*/{_WHOSE}")) if self.folder.is_dir() and not scope.session else []
        wanted = {key: value for key, value in scope.model_dump().items() if value}
        gone = [each for each in homes if wanted.items() <= json.loads(each.read_text("utf-8")).items()]
        for each in gone:
            shutil.rmtree(each.parent)
        return len(gone)

    def _done(self, call: Call, scope: Scope) -> Result:
        given, name = call.arguments, call.arguments.get("command")
        try:
            if call.malformed or name not in _COMMANDS:
                raise BadInput(f"`command` is one of {', '.join(_COMMANDS)}")  # noqa: TRY301 - one way out
            home = self._opened(scope)
            with ProcessLock(home / "lock"):
                command: Callable[[Path, Mapping[str, JsonValue]], str] = getattr(self, f"_{name}")
                return Result(call_id=call.id, text=command(home / "files", given))
        except BadInput as error:
            return Result(call_id=call.id, text=str(error), is_error=True)
        except StoreLocked:
            return Result(call_id=call.id, text="the files are in use; try again", is_error=True)
        except OSError as error:
            return Result(call_id=call.id, text=f"the files: {error.strerror or 'failed'}", is_error=True)

    def _opened(self, scope: Scope) -> Path:
        home = self.folder / reference(json.dumps([scope.tenant, scope.user]))[:32]
        (home / "files").mkdir(parents=True, exist_ok=True)
        if not (home / _WHOSE).exists():
            write_atomic(home / _WHOSE, json.dumps({"tenant": scope.tenant, "user": scope.user}))
        return home

    # -- the commands -----------------------------------------------------------------------------------

    def _view(self, root: Path, given: Mapping[str, JsonValue]) -> str:
        path = within(root, given.get("path") or ROOT)
        if path.is_dir():
            lines = [f"{size}\t{name}" for name, size in walked(root, path)]
            listed = "\n".join([f"{shown(root, path)} holds, two levels deep:", *lines])
            cut = "\n[cut here; view a folder of it, or a file by its name]"
            return listed if len(listed) <= self.page else listed[: self.page] + cut
        lines, first = self._read(root, path).split("\n"), 1
        if (wanted := given.get("view_range")) is not None:
            first, last = _range(wanted, len(lines))
            lines = lines[first - 1 : last]
        page = max(self.page, self.longest + 8) if len(lines) == 1 else self.page
        text = "\n".join(f"{number:6}\t{line}" for number, line in enumerate(lines, first))
        cut = "" if len(text) <= page else "\n[cut here; view the rest with view_range]"
        return f"{shown(root, path)}:\n{text[:page]}{cut}"

    def _create(self, root: Path, given: Mapping[str, JsonValue]) -> str:
        path = within(root, given.get("path"))
        if path.exists():
            raise BadInput(f"{shown(root, path)} is there already; change it with str_replace or insert")
        if sum(1 for _ in root.rglob("*")) + len(_missing(root, path.parent)) >= self.most:
            raise BadInput(f"there are {self.most} files and folders already; delete some first")
        self._write(root, path, _text(given, "file_text"))
        return f"created {shown(root, path)}"

    def _str_replace(self, root: Path, given: Mapping[str, JsonValue]) -> str:
        path = within(root, given.get("path"))
        text, old, new = self._read(root, path), _text(given, "old_str"), _text(given, "new_str", "")
        found = text.count(old) if old else 0
        if found != 1:
            lines = [str(n) for n, line in enumerate(text.split("\n"), 1) if old and old in line]
            where = f" (lines {', '.join(lines)})" if lines else ""
            raise BadInput(
                f"`old_str` stands {found} times in {shown(root, path)}{where}; it has to stand once"
            )
        self._write(root, path, text.replace(old, new))
        return f"changed {shown(root, path)}"

    def _insert(self, root: Path, given: Mapping[str, JsonValue]) -> str:
        path = within(root, given.get("path"))
        lines, line = self._read(root, path).split("\n"), given.get("insert_line")
        if isinstance(line, bool) or not isinstance(line, int) or not 0 <= line <= len(lines):
            raise BadInput(f"`insert_line` is from 0 to {len(lines)}, the lines of {shown(root, path)}")
        added = _text(given, "insert_text").removesuffix("\n").split("\n")
        self._write(root, path, "\n".join([*lines[:line], *added, *lines[line:]]))
        return f"changed {shown(root, path)}"

    def _delete(self, root: Path, given: Mapping[str, JsonValue]) -> str:
        path = within(root, given.get("path"))
        if path == root:
            raise BadInput(f"{ROOT} itself cannot be deleted; delete what is in it")
        if path.is_dir():
            shutil.rmtree(path)
        elif path.is_file():
            path.unlink()
        else:
            raise BadInput(f"there is no {shown(root, path)}")
        return f"deleted {shown(root, path)}"

    def _rename(self, root: Path, given: Mapping[str, JsonValue]) -> str:
        old, new = within(root, given.get("old_path")), within(root, given.get("new_path"))
        if root in {old, new} or not old.exists():
            raise BadInput(f"there is no {shown(root, old)} that could be renamed")
        if new.exists():
            raise BadInput(f"{shown(root, new)} is there already; delete it first")
        if new.is_relative_to(old):
            raise BadInput(f"{shown(root, old)} cannot be moved into itself")
        within(root, f"{shown(root, new)}{deepest(old)}")
        if sum(1 for _ in root.rglob("*")) + len(_missing(root, new.parent)) > self.most:
            raise BadInput(f"there are {self.most} files and folders already; delete some first")
        new.parent.mkdir(parents=True, exist_ok=True)
        old.rename(new)
        return f"renamed {shown(root, old)} to {shown(root, new)}"

    def _read(self, root: Path, path: Path) -> str:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "is not there"
            raise BadInput(f"{shown(root, path)} {what}")
        try:
            return path.read_bytes().decode()  # read_text would change the ends of lines
        except UnicodeDecodeError as error:
            raise BadInput(f"{shown(root, path)} is no text file") from error

    def _write(self, root: Path, path: Path, text: str) -> None:
        if len(text) > self.longest:
            raise BadInput(f"{shown(root, path)} would have {len(text):,} characters; {self.longest:,} fit")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text.encode("utf-8", "replace"))


def _missing(root: Path, folder: Path) -> list[Path]:
    return [each for each in (folder, *folder.parents) if each.is_relative_to(root) and not each.exists()]


def _text(given: Mapping[str, JsonValue], name: str, default: str | None = None) -> str:
    text = given.get(name, default)
    if not isinstance(text, str):
        raise BadInput(f"`{name}` is needed, a string")
    return text


def _range(wanted: JsonValue, lines: int) -> tuple[int, int]:
    """First and last line, counted from 1; a last one of -1 is the end."""
    if isinstance(wanted, list) and len(wanted) == 2:  # noqa: PLR2004 - first and last
        first, last = wanted
        if isinstance(first, int) and isinstance(last, int):
            last = lines if last == -1 else last
            if 1 <= first <= last <= lines:
                return first, last
    raise BadInput(f"`view_range` is [first, last], from 1 to {lines}; -1 is the last line")
