"""The YAML side of a playbook: `entries:` of a settings file whose other keys belong to other code."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from ctxeng.errors import BadPlaybook, NewerPlaybook
from ctxeng.playbook.book import SCHEMA
from ctxeng.playbook.entry import Entry, mint

# What turns the settings of one schema version into those of the next.
MIGRATIONS: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
ENTRIES = TypeAdapter(tuple[Entry, ...])
_C_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where libyaml is there


@dataclass(frozen=True)
class Parsed:
    """What a settings file says about its playbook."""

    name: str = ""
    entries: tuple[Entry, ...] = ()
    extends: tuple[str, ...] = ()


class _Loader(_C_LOADER):  # type: ignore[misc]  # PyYAML's classes are untyped here
    """Safe YAML in which a key given twice is an error, not a silent loss."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:str" and key.value in seen:
                raise yaml.MarkedYAMLError(None, None, f"key {key.value!r} is given twice", key.start_mark)
            seen.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def parse(text: str, path: str = "<text>") -> Parsed:
    """The playbook in a settings file. BadPlaybook with file:line:column for anything that is not one.

    An entry without an id gets one that follows from its section and text.
    """
    settings = load(text, path)
    entries = settings.get("entries")
    if entries is None:
        entries = []
    if not isinstance(entries, list):
        raise BadPlaybook(f"{at(text, path, ('entries',))}: entries must be a list")
    _named(entries)
    try:
        checked = ENTRIES.validate_python(entries)
    except ValidationError as error:
        raise BadPlaybook(_sentence(text, path, error)) from error
    known: set[str] = set()
    for index, entry in enumerate(checked):
        if entry.id in known:
            raise BadPlaybook(f"{at(text, path, ('entries', index, 'id'))}: id {entry.id!r} is given twice")
        known.add(entry.id)
    extends = settings.get("extends") or []
    files = [extends] if isinstance(extends, str) else extends
    if not isinstance(files, list) or not all(isinstance(each, str) for each in files):
        raise BadPlaybook(f"{at(text, path, ('extends',))}: extends must be a list of files")
    name = settings.get("playbook")
    return Parsed(name if isinstance(name, str) else "", checked, tuple(files))


def load(text: str, path: str = "<text>") -> dict[str, Any]:
    """The settings as they stand in the file, brought to this library's schema version."""
    try:
        settings: Any = yaml.load(text, _Loader)  # noqa: S506 - a safe loader that is stricter
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise BadPlaybook(f"{path}{where}: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise BadPlaybook(f"{path}: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise BadPlaybook(f"{path}: nested too deeply") from error
    except ValueError as error:  # a date that is none, a character that UTF-8 cannot hold
        raise BadPlaybook(f"{path}: {error}; put such text in quotes") from error
    if settings is None:
        return {}
    if not isinstance(settings, dict):
        raise BadPlaybook(f"{path}:1:1: a settings file must be a mapping with `entries:`")
    version = settings.get("ctxeng", SCHEMA)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise BadPlaybook(f"{at(text, path, ('ctxeng',))}: ctxeng must be a schema version such as {SCHEMA}")
    if version > SCHEMA:
        raise NewerPlaybook(path, version, SCHEMA)
    checked: dict[str, Any] = settings
    for step in range(version, SCHEMA):
        checked = MIGRATIONS[step](checked)
    return checked


def dump(entry: Entry, indent: str = "", newline: str = "\n") -> str:
    """The entry as an item of a YAML list, in lines that each end in a newline."""
    fields = [("id", entry.id)]
    fields += [("section", entry.section)] if entry.section != "general" else []
    fields += [("kind", entry.kind)] if entry.kind != "bullet" else []
    fields += [("when", entry.when)] if entry.when else []
    fields += [("text", entry.text)]
    lines = [f"{name}: {_scalar(value, indent + '    ')}" for name, value in fields]
    if entry.audience:
        lines.append(f"audience: [{', '.join(_plain(role, flow=True) for role in entry.audience)}]")
    if entry.status != "active":
        lines.append(f"status: {entry.status}")
    text = f"{indent}- " + f"\n{indent}  ".join(lines) + "\n"
    return text if newline == "\n" else text.replace("\n", newline)


_WORD = re.compile(r"[\w(/.+$^<][^\n]*")
_HARD = re.compile(r":\s|\s#|[\s:]$")
_YAML_12 = re.compile(r"[yYnN]|0o[0-7]+|[-+.\d][\d_.:eE+-]*")  # text to PyYAML, not to everybody
_ESCAPES = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def _scalar(text: str, indent: str) -> str:
    """The text as a block where it has lines and a block can hold them, else in one line."""
    body, ending = (text[:-1], "|") if text.endswith("\n") else (text, "|-")
    lines = body.split("\n")
    blocky = (
        "\n" in text
        and lines[0][:1] not in {"", " ", "\t"}
        and all(not line or (line == line.rstrip() and _shown(line)) for line in lines)
        and lines[-1]
    )
    if not blocky:
        return _plain(text)
    return ending + "\n" + "\n".join(indent + line if line else "" for line in lines)


def _plain(text: str, *, flow: bool = False) -> str:
    """The text in one line, with no more quotes than it needs."""
    if not _shown(text) or "\t" in text:
        return '"' + "".join(_escaped(character) for character in text) + '"'
    if _WORD.fullmatch(text) and not _HARD.search(text) and not (flow and set(text) & set(",[]{}:")):
        resolvers = yaml.SafeLoader.yaml_implicit_resolvers.get(text[0], [])
        if not _YAML_12.fullmatch(text) and not any(pattern.match(text) for _, pattern in resolvers):
            return text
    if '"' in text or "\\" in text:
        return "'" + text.replace("'", "''") + "'"
    return f'"{text}"'


def _shown(text: str) -> bool:
    """Whether every character can be seen, so that a reviewer misses none; tabs within a line may pass."""
    return text.replace("\t", "").isprintable() and "\ufeff" not in text


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004


def _named(entries: list[Any]) -> None:
    """Gives an id to the entries a person wrote without one."""
    nameless = [each for each in entries if isinstance(each, dict) and "id" not in each]
    taken = {str(each["id"]) for each in entries if isinstance(each, dict) and "id" in each}
    for each in nameless:
        each["id"] = mint(str(each.get("section", "general")), str(each.get("text", "")), taken.__contains__)
        taken.add(each["id"])


def _sentence(text: str, path: str, error: ValidationError) -> str:
    first = error.errors()[0]
    place = ("entries", *first["loc"])
    field = ".".join(str(step) for step in place[2:3])
    hint = "; put it in quotes" if first["type"] == "string_type" else ""
    return f"{at(text, path, place)}: {field + ': ' if field else ''}{first['msg']}{hint}"


def at(text: str, path: str, place: tuple[str | int, ...]) -> str:
    """file:line:column of the node at that place, or of the nearest one around it."""
    node = compose(text)
    for step in place:
        if isinstance(node, yaml.MappingNode):
            found = [value for key, value in node.value if key.value == step]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            found = node.value[step : step + 1]
        else:
            found = []
        if not found:
            break
        node = found[-1]
    return f"{path}:{node.start_mark.line + 1}:{node.start_mark.column + 1}" if node else path


def faults(text: str, path: str, error: ValidationError) -> list[str]:
    """Every fault that pydantic found in a file's values, with its place in the file."""
    lines = []
    for fault in error.errors():
        place = tuple(step for step in fault["loc"] if isinstance(step, str | int))
        what = ".".join(map(str, place))
        said = fault["msg"].removeprefix("Value error, ")
        lines.append(f"{at(text, path, place)}: {what + ': ' if what else ''}{said}")
    return lines


def compose(text: str) -> yaml.Node | None:
    """The text's node tree, with marks; for whoever wants to know where things stand."""
    node: yaml.Node | None = yaml.compose(text, _Loader)
    return node
