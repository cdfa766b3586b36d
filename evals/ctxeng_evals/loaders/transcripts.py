"""Dialogues of agents with tools: tau-bench airline, SWE-agent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ctxeng.errors import BadInput
from ctxeng_evals.case import Case, Dataset, Item
from ctxeng_evals.loaders.read import dataset_of, document, flat, lines, only

_SHORTEST = 3  # characters of an argument's value that can tell where it came from


def tau_bench(data: Path, part: str) -> Dataset:
    """tau-bench: a case is a dialogue, its items the messages, the question what the user was told to do.

    Gold are the messages in which a string that a later tool call has as argument first appears: a whole
    word of three letters or more. The system message is left out, and so are strings that no earlier
    message has. The trials of one task are one group. Raises BadInput for malformed records, UnknownName
    for a part: there are none.
    """
    only("tau-bench-airline", part, [])
    return dataset_of(
        "tau-bench-airline", part, lines(data / "tau-bench-airline" / "gpt-4o_trials0-1.jsonl", _dialogue)
    )


def swe_agent(data: Path, part: str) -> Dataset:
    """SWE-agent: a case is a trajectory, its items the messages, the question the task; there is no gold.

    Raises BadInput for malformed records, UnknownName for a part: there are none.
    """
    only("swe-agent-trajectories", part, [])
    paths = sorted((data / "swe-agent-trajectories").glob("*.traj"))
    if not paths:
        raise BadInput("swe-agent-trajectories/*.traj: not there; check the folder that CTXENG_DATA names")
    return dataset_of("swe-agent-trajectories", part, [_trajectory(path) for path in paths])


def _dialogue(record: Any, _: int) -> Case:
    task = record["task_id"]
    messages = record["traj"]
    items = tuple(_message(message, place) for place, message in enumerate(messages))
    places = {_source(items, value, place) for place, value in _arguments(messages)}
    return Case(
        id=f"{task}/{record['trial']}",
        question=record["info"]["task"]["instruction"],
        items=items,
        gold=tuple(items[place].id for place in sorted(places - {-1})),
        group=str(task),
        tags={"reward": record["reward"], "trial": record["trial"]},
    )


def _trajectory(path: Path) -> Case:
    info: dict[str, str | int | float] = {}

    def history(found: Any) -> list[tuple[int, Any]]:
        info.update(exit=str((found.get("info") or {}).get("exit_status") or ""))
        return list(enumerate(found["history"]))

    read = document(path, history, lambda each, _: (_message(each[1], each[0]), bool(each[1].get("is_demo"))))
    tasks = [item.text for item, demo in read if item.role == "user" and not demo]
    if not tasks:
        raise BadInput(f"swe-agent-trajectories/{path.name}: no message of the user tells the task")
    items = tuple(item for item, _ in read)
    return Case(id=path.stem, question=tasks[0], items=items, group=path.stem, tags=info)


def _message(message: Any, place: int) -> Item:
    """A message as an item; its calls stand as name(arguments) after what it says."""
    calls = [
        f"{call['function']['name']}({call['function']['arguments']})"
        for call in message.get("tool_calls") or []
    ]
    text = "\n".join([message["content"] or "", *calls] if message["content"] else calls)
    return Item(
        id=str(place), text=text, title=message.get("name") or "", kind="message", role=message["role"]
    )


def _arguments(messages: list[Any]) -> Iterator[tuple[int, str]]:
    """Each string in a call's arguments, with the place of the message that makes the call."""
    for place, message in enumerate(messages):
        for call in message.get("tool_calls") or []:
            for value in _strings(json.loads(call["function"]["arguments"])):
                yield place, value


def _strings(found: Any) -> Iterator[str]:
    if isinstance(found, Mapping):
        yield from flat(map(_strings, found.values()))
    elif isinstance(found, list):
        yield from flat(map(_strings, found))
    elif isinstance(found, str) and len(found) >= _SHORTEST:
        yield found


def _source(items: tuple[Item, ...], value: str, before: int) -> int:
    """The first message but the system's that has the value, among those before the call; -1 for none."""
    search = re.compile(rf"(?<!\w){re.escape(value)}(?!\w)").search
    found = (
        place for place, item in enumerate(items[:before]) if item.role != "system" and search(item.text)
    )
    return next(found, -1)
