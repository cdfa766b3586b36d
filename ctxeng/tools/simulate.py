"""Replaying sessions whose needs are known: were the tools there, at what price, how often changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ctxeng.errors import BadInput
from ctxeng.message import WellFormed
from ctxeng.protocols import Allowance
from ctxeng.tools.manage import SEARCH
from ctxeng.tools.toolset import SOURCE, ToolSet
from ctxeng.turn import (
    Answer,
    Call,
    Message,
    Request,
    Result,
    Scope,
    Section,
    Step,
    Turn,
    Value,
    user,
)


class Asked(Value):
    """One turn of a recorded session: the request, and the tools that were called, if that is known."""

    request: WellFormed
    needs: tuple[str, ...] = ()
    session: str = "session"


@dataclass(frozen=True)
class Seen:
    """What the window had of tools in one turn.

    `tokens` are those of all tool sections, `share` is that of the needed tools which were loaded, `present`
    says that all were, `calm` that all had been loaded the turn before already, `same` that the block is
    byte for byte the same.
    """

    session: str
    loaded: int
    added: int
    removed: int
    readded: int
    tokens: int
    share: float
    present: bool
    calm: bool
    same: bool
    removal_ratio: float


@dataclass(frozen=True)
class Summary:
    """Means over turns; shares are between 0 and 1. `same` is of the turns whose need did not change."""

    turns: int
    share: float
    present: float
    tokens: float
    loaded: float
    same: float
    calm: int
    changed: float
    removal_ratio: float
    readds: float  # additions of tools that were removed before, a session


def read_sessions(path: Path) -> list[Asked]:
    """Recorded turns, one JSON object a line. Raises BadInput with file and line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read: {error}") from error
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                found.append(Asked.model_validate_json(line))
            except ValidationError as error:
                fault = error.errors()[0]
                where = ".".join(map(str, fault["loc"])) or "the line"
                raise BadInput(f"{path}:{number}: {where}: {fault['msg']}") from error
    if not found:
        raise BadInput(
            f"{path} has no turns; each line is {{'request': ..., 'needs': [...], 'session': ...}}"
        )
    return found


def replay(
    tools: ToolSet, asked: Sequence[Asked], price: Callable[[Section], int], tokens: int = 1_000_000
) -> Iterator[Seen]:
    """Each turn's window of tools, within `tokens`. Afterwards the needed tools count as called.

    Where the mode leaves searching to the model, a model is stood in for that searches once, with the
    request's own words, whenever something it needs is not loaded, and never removes anything by itself.
    Raises UnknownName for a needed tool that the catalogue does not have.
    """
    shown: dict[str, tuple[str, ...]] = {}
    blocks: dict[str, str] = {}
    ever: dict[str, set[str]] = {}
    for number, one in enumerate(asked):
        for name in one.needs:
            tools.catalogue[name]  # raises
        before = shown.get(one.session, ())
        request = Request(query=user(one.request), scope=Scope(session=one.session), shown={SOURCE: before})
        request = request.model_copy(update={"pinned": {SOURCE: tools.chosen(request).names}})
        request = _searched(tools, request, one)
        sections = tools.gather(request, Allowance(tokens, price))
        names = tuple(section.ref for section in sections if section.ref in tools.catalogue)
        block = json.dumps([section.model_dump(mode="json")["body"] for section in sections])
        tools.observe(_turn(f"{one.session}/{number}", request, one, names))
        yield Seen(
            session=one.session,
            loaded=len(names),
            added=len(set(names) - set(before)),
            removed=len(set(before) - set(names)),
            readded=len((set(names) - set(before)) & ever.get(one.session, set())),
            tokens=sum(section.tokens for section in sections),
            share=len(set(one.needs) & set(names)) / len(set(one.needs)) if one.needs else 1.0,
            present=set(one.needs) <= set(names),
            calm=bool(one.needs) and bool(before) and set(one.needs) <= set(before),
            same=block == blocks.get(one.session),
            removal_ratio=tools.sessions.working(request.scope).removal_ratio,
        )
        shown[one.session], blocks[one.session] = names, block
        ever.setdefault(one.session, set()).update(names)


def summary(seen: Sequence[Seen]) -> Summary:
    """The means of these turns. Raises BadInput where there are none."""
    if not seen:
        raise BadInput("no turns were replayed")
    calm = [one for one in seen if one.calm]
    sessions = len({one.session for one in seen})
    return Summary(
        turns=len(seen),
        share=_mean([one.share for one in seen]),
        present=_mean([one.present for one in seen]),
        tokens=_mean([one.tokens for one in seen]),
        loaded=_mean([one.loaded for one in seen]),
        same=_mean([one.same for one in calm]),
        calm=len(calm),
        changed=_mean([one.added + one.removed > 0 for one in seen]),
        removal_ratio=_mean([one.removal_ratio for one in seen]),
        readds=sum(one.readded for one in seen) / sessions,
    )


def _searched(tools: ToolSet, request: Request, one: Asked) -> Request:
    """The request after the stand-in model's search, where it has to search at all."""
    missing = set(one.needs) - set(request.pinned[SOURCE])
    if tools.mode.search_step or not tools.mode.search_tool or (one.needs and not missing):
        return request
    call = Call(id="search", name=SEARCH, arguments={"query": one.request})
    result = tools.manage(call, request, [call])
    step = _step([call])
    return tools.adjusted(request, step.model_copy(update={"results": (result,)} if result else {}))[0]


def _turn(turn: str, request: Request, one: Asked, shown: tuple[str, ...]) -> Turn:
    calls = [Call(id=f"{turn}-{name}", name=name) for name in one.needs]
    return Turn(id=turn, request=request, shown={SOURCE: shown}, steps=(_step(calls),) if calls else ())


def _step(calls: Sequence[Call]) -> Step:
    answer = Answer(message=Message(role="assistant", parts=tuple(calls)), finish="calls")
    return Step(answer=answer, results=tuple(Result(call_id=call.id, text="done") for call in calls))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
