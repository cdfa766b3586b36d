"""Choice of tools: StableToolBench, MetaTool, MCP catalogues, BFCL multi-turn."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ctxeng_evals.case import Case, Dataset, Item
from ctxeng_evals.loaders.read import dataset_of, document, flat, lines, only, table

_EVERY = 10  # MetaTool's single queries: the reference numbers are of every tenth
_OWN = "Tool description: "  # what follows is the function's own, what precedes is its class's
_CALL = re.compile(r"\s*([A-Za-z_]\w*)\(")
_UNNAMED = re.compile(r"[^A-Za-z0-9_-]+")
_TYPES = {"dict": "object", "tuple": "array", "float": "number", "binary": "string", "enum": "string"}
_PLAIN = ("string", "number", "integer", "boolean", "array", "object", "null")


def toolbench(data: Path, part: str) -> Dataset:
    """StableToolBench: one pool of 2,490 endpoints, gold are the relevant ones; tag `split`.

    Raises BadInput for malformed records, UnknownName for a part: there are none.
    """
    only("toolbench-solvable", part, [])
    folder = data / "toolbench-solvable"
    pool = lines(folder / "catalogue.jsonl", _endpoint)
    known = frozenset(item.id for item in pool)
    cases = lines(folder / "queries.jsonl", lambda each, _: _endpoint_query(each, known))
    return dataset_of("toolbench-solvable", part, cases, tools=pool)


def metatool(data: Path, part: str) -> Dataset:
    """MetaTool: one pool of 199 plugins; every tenth one-tool query, `all` of them, or the `two`-tool ones.

    Raises BadInput for malformed records, UnknownName for another part.
    """
    only("metatool", part, ["all", "two"])
    folder = data / "metatool"
    pool = document(folder / "plugin_des.json", lambda found: found.items(), _plugin)
    known = frozenset(item.id for item in pool)
    if part == "two":
        cases = document(folder / "multi_tool_query_golden.json", list, partial(_two_tools, known))
    else:
        rows = table(folder / "all_clean_data.csv", ["Query", "Tool"], partial(_one_tool, known))
        cases = rows if part == "all" else rows[::_EVERY]
    return dataset_of("metatool", part, cases, tools=pool)


def mcp_catalogues(data: Path, part: str) -> Dataset:
    """MCP tool lists, one pool of tools and no cases: distractors for other datasets; `docker` or `github`.

    Raises BadInput for malformed records, UnknownName for another part.
    """
    only("mcp-catalogues", part, ["docker", "github"])
    files = {"docker": "docker-mcp-registry.jsonl", "github": "github-mcp-server.jsonl"}
    chosen = [name for key, name in files.items() if part in ("", key)]
    pool = flat([lines(data / "mcp-catalogues" / name, _mcp_tool) for name in chosen])
    return dataset_of("mcp-catalogues", part, (), tools=tuple(pool))


def bfcl_multi_turn(data: Path, part: str) -> Dataset:
    """BFCL multi-turn: one pool of 128 functions; a case is a user turn that has gold calls, in its session.

    Gold ids are the names before the bracket of the turn's calls ("cd(folder='x')": `cd`), in the order of
    the first call of each; function names are unique. `turn` is the turn's place, the group is the session.
    Raises BadInput for malformed records, UnknownName for a part: there are none.
    """
    only("bfcl-multi-turn", part, [])
    folder = data / "bfcl-multi-turn"
    files = sorted((folder / "func_doc").glob("*.json"))
    pool = tuple(flat(lines(path, partial(_function, path.stem)) for path in files))
    known = frozenset(item.id for item in pool)
    calls = dict(lines(folder / "possible_answer.json", lambda each, _: (each["id"], _called(each, known))))
    sessions = lines(folder / "BFCL_v4_multi_turn_base.json", lambda each, _: _turns(each, calls))
    return dataset_of("bfcl-multi-turn", part, flat(sessions), tools=pool)


def schema(name: str, about: str, parameters: Mapping[str, Any]) -> str:
    """A function schema as OpenAI takes it, as JSON; the name is cut to the letters and length it allows."""
    function = {"name": _UNNAMED.sub("_", name)[:64], "description": about, "parameters": parameters}
    return json.dumps({"type": "function", "function": function}, ensure_ascii=False)


# -- StableToolBench -----------------------------------------------------------------------------------


def _endpoint(record: Any, _: int) -> Item:
    required, optional = record["required_parameters"], record["optional_parameters"]
    tool, name, about = record["tool_name"], record["api_name"], record["api_description"]
    named = ", ".join(parameter["name"] for parameter in [*required, *optional])
    parameters = {
        "type": "object",
        "properties": {each["name"]: _endpoint_parameter(each) for each in [*required, *optional]},
        "required": [each["name"] for each in required],
    }
    return Item(
        id=record["id"],
        text=f"{record['category_name']} {tool} {name}: {about} ({named})",
        title=name,
        source=f"{record['category_name']}/{tool}",
        kind="tool",
        shown=schema(f"{name}_for_{tool}", about, parameters),
    )


def _endpoint_parameter(parameter: Any) -> dict[str, Any]:
    found = {"type": _type(parameter["type"]), "description": parameter["description"]}
    return found | ({"default": parameter["default"]} if parameter.get("default") else {})


def _endpoint_query(record: Any, known: frozenset[str]) -> Case:
    return Case(
        id=str(record["query_id"]),
        question=record["query"],
        pool="tools",
        gold=_known(record["relevant"], known),
        group=str(record["query_id"]),
        tags={"split": record["split"]},
    )


# -- MetaTool ------------------------------------------------------------------------------------------


def _plugin(record: tuple[str, str], _: int) -> Item:
    name, about = record
    shown = schema(name, about, {"type": "object", "properties": {}})
    return Item(id=name, text=f"{name}: {about}", title=name, source=name, kind="tool", shown=shown)


def _one_tool(known: frozenset[str], row: Mapping[str, str], number: int) -> Case:
    name = f"single-{number}"
    gold = _known([row["Tool"]], known)
    return Case(id=name, question=row["Query"], target=gold[0], pool="tools", gold=gold, group=name)


def _two_tools(known: frozenset[str], record: Any, number: int) -> Case:
    name = f"two-{number}"
    gold = _known(record["tool"], known)
    return Case(id=name, question=record["query"], pool="tools", gold=gold, group=name)


# -- MCP -----------------------------------------------------------------------------------------------


def _mcp_tool(record: Any, _: int) -> Item:
    name, about, server = record["name"], record["description"], record["server"]
    if "inputSchema" in record:
        parameters = record["inputSchema"]
    else:
        listed = record.get("arguments", [])
        parameters = {
            "type": "object",
            "properties": {each["name"]: _mcp_parameter(each) for each in listed},
            "required": [each["name"] for each in listed if not each.get("optional")],
        }
    named = ", ".join(parameters.get("properties", {}))
    return Item(
        id=f"{server}/{name}",
        text=f"{name}: {about} ({named})",
        title=name,
        source=server,
        kind="tool",
        shown=schema(f"{server}__{name}", about, parameters),
    )


def _mcp_parameter(parameter: Any) -> dict[str, Any]:
    found = {"type": _type(parameter["type"]), "description": parameter["desc"]}
    return found | ({"items": parameter["items"]} if "items" in parameter else {})


# -- BFCL multi-turn -----------------------------------------------------------------------------------


def _function(source: str, record: Any, _: int) -> Item:
    name, whole = record["name"], record["description"]
    own = whole.partition(_OWN)[2] or whole
    parameters = _json_schema(record["parameters"])
    named = ", ".join(parameters["properties"])
    return Item(
        id=name,
        text=f"{name}: {own} ({named})",
        title=name,
        source=source,
        kind="tool",
        shown=schema(name, own, parameters),
    )


def _called(record: Any, known: frozenset[str]) -> list[tuple[str, ...]]:
    turns = []
    for calls in record["ground_truth"]:
        found = [(call, _CALL.match(call)) for call in calls]
        wrong = [call for call, match in found if match is None]
        if wrong:
            raise ValueError(f"no call: {wrong[0]!r}")
        turns.append(_known([match[1] for _, match in found if match], known))
    return turns


def _turns(record: Any, calls: Mapping[str, list[tuple[str, ...]]]) -> list[Case]:
    name = record["id"]
    if name not in calls:
        raise ValueError(f"possible_answer.json has no calls for {name}")
    return [
        Case(
            id=f"{name}/{turn}",
            question="\n".join(message["content"] for message in messages),
            pool="tools",
            gold=gold,
            group=name,
            turn=turn,
            tags={"classes": ", ".join(record["involved_classes"])},
        )
        for turn, (messages, gold) in enumerate(zip(record["question"], calls[name], strict=True))
        if gold
    ]


def _json_schema(found: Any) -> Any:
    """The documentation's dialect as JSON Schema: other names of types, at any depth."""
    if isinstance(found, list):
        return [_json_schema(each) for each in found]
    if not isinstance(found, dict):
        return found
    return {
        key: _type(value) if key == "type" and isinstance(value, str) else _json_schema(value)
        for key, value in found.items()
    }


def _type(name: str) -> str:
    lowered = name.lower()
    return lowered if lowered in _PLAIN else _TYPES.get(lowered, "string")


def _known(names: Any, known: frozenset[str]) -> tuple[str, ...]:
    if not isinstance(names, list):
        raise TypeError(f"no list of tools: {names!r}")
    missing = [str(name) for name in names if name not in known]
    if missing:
        raise ValueError(f"no such tool: {', '.join(missing)}")
    return tuple(dict.fromkeys(names))
