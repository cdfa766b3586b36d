"""Clipping on real transcripts: what it saves, and how many later arguments of calls are still at hand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ctxeng.text.clip import clip_middle
from ctxeng.tokens import Calibrated, Counter, tiktoken_counter
from ctxeng.tools.clip.clipper import Clipper
from ctxeng.tools.output import READ, ClippedRunner
from ctxeng.turn import Call, Result, Scope
from ctxeng_evals import registry
from ctxeng_evals.bench.table import Figures, Row
from ctxeng_evals.case import Case
from ctxeng_evals.stats import difference_of, mean_of

ALLOWANCES = (128, 256, 512)
SHORTEST = 3  # characters of a value that can tell where it came from
AIRLINE, CODE = "tau-bench-airline", "swe-agent-trajectories"
_CALL = re.compile(r"^(\w+)\((\{.*\})\)\Z", re.MULTILINE | re.DOTALL)
_ACTION = re.compile(r"```\n?(.*?)```\s*\Z", re.DOTALL)
_WORD = re.compile(r"[\w./-]*\w")
_SCOPE = Scope(session="replay")


@dataclass(frozen=True)
class Message:
    """A message of a transcript; an assistant's has its thought, and the name and arguments of its call."""

    role: str
    text: str
    thought: str = ""
    call: Call | None = None
    values: tuple[str, ...] = ()  # of the call's arguments, that may be looked for in earlier results
    names: tuple[str, ...] = ()  # of the arguments


@dataclass(frozen=True)
class Need:
    """A value of a call's arguments that no message but results had before, and whether it is at hand."""

    group: str
    kept: bool  # in a clip by kind
    middle: bool  # in a head and tail of the same size
    read: bool  # in a clip, or after one `read_result`


@dataclass
class Replayed:
    """The results of a call, by its id: what the wrapped runner returns."""

    results: dict[str, str] = field(default_factory=dict)

    def run(self, call: Call, scope: Scope) -> Result:
        """The recorded result."""
        del scope
        return Result(call_id=call.id, text=self.results[call.id])

    async def arun(self, call: Call, scope: Scope) -> Result:
        """The same, awaited."""
        return self.run(call, scope)


@dataclass(frozen=True)
class Spent:
    """Tokens of a result: in full, clipped by kind, as head and tail."""

    full: int
    clipped: int
    middle: int


def run(seed: int = 0) -> Figures:
    """Both data sets at three allowances, on the half of the transcripts that nothing was tuned on."""
    counter = tiktoken_counter("o200k_base") or Calibrated()
    rows: list[Row] = []
    for name in (AIRLINE, CODE):
        transcripts = [
            (case.group, transcript(case)) for case in half(registry.load(name).cases, tuned=False)
        ]
        for tokens in ALLOWANCES:
            rows += rows_of(f"{name}, {tokens} tokens", transcripts, tokens, counter, seed)
    notes = (
        f"tokens by {counter.name}; held-out: every second task of {AIRLINE}, every second file of {CODE}",
        "a value counts once, where results alone had it and each that did was longer than the allowance",
        "a clip's query: the last user message, what the assistant said before, and its call",
        "one read: `read_result` of the last result that had it, at the same allowance, by the last user",
        "message, the thought before the call without its values, the names of its tool and parameters",
    )
    return Figures("clipping", tuple(rows), notes, seed)


def half(cases: Sequence[Case], *, tuned: bool) -> list[Case]:
    """Every second group, in order of their first case: the first, third ... were tuned on."""
    groups = list(dict.fromkeys(case.group for case in cases))
    chosen = set(groups[0::2] if tuned else groups[1::2])
    return [case for case in cases if case.group in chosen]


def rows_of(
    label: str, transcripts: Sequence[tuple[str, list[Message]]], tokens: int, counter: Counter, seed: int
) -> list[Row]:
    """The figures at one allowance."""
    spent: list[Spent] = []
    needs: list[Need] = []
    for group, messages in transcripts:
        replay = Replay(messages, tokens, counter)
        spent += replay.spent
        needs += replay.needs(group)
    full = sum(each.full for each in spent)
    rows = [
        Row(
            f"{label}: saved, by kind",
            100 * (1 - sum(s.clipped for s in spent) / full),
            f"% of {full} tokens",
        ),
        Row(f"{label}: saved, head and tail", 100 * (1 - sum(s.middle for s in spent) / full), "%"),
    ]
    groups = [need.group for need in needs]
    for what, values in (
        ("values kept, by kind", [need.kept for need in needs]),
        ("values kept, head and tail", [need.middle for need in needs]),
        ("values kept or found by one read", [need.read for need in needs]),
    ):
        found = mean_of([float(value) for value in values], groups, seed)
        if found:
            unit = f"[{found.low:.3f}, {found.high:.3f}] n={found.n} in {found.groups} groups"
            rows.append(Row(f"{label}: {what}", found.mean, unit))
    gain = difference_of([(float(need.middle), float(need.kept)) for need in needs], groups, seed)
    if gain:
        span = f"[{gain.estimate.low:+.3f}, {gain.estimate.high:+.3f}]"
        rows.append(
            Row(f"{label}: kept, by kind less head and tail", gain.estimate.mean, span, None, "", "> 0")
        )
    return rows


class Replay:
    """One transcript with every result clipped, both ways; queries hold only what was known at the time."""

    def __init__(self, messages: Sequence[Message], tokens: int, counter: Counter) -> None:
        self.messages = messages
        self.tokens = tokens
        self.asked: dict[str, str] = {}
        self.full = Replayed()
        self.runner = ClippedRunner(
            self.full, Clipper(tokens, counter), query=lambda call: self.asked[call.id]
        )
        self.clips: dict[int, str] = {}
        self.middles: dict[int, str] = {}
        self.spent: list[Spent] = []
        for place, message in enumerate(messages):
            if message.role == "result":
                self._clip(place, message.text, counter)

    def _clip(self, place: int, text: str, counter: Counter) -> None:
        call = self.messages[place - 1].call or Call(id=str(place), name="")
        call = call.model_copy(update={"id": str(place)})
        self.full.results[call.id] = text
        self.asked[call.id] = f"{self._user(place)}\n{self.messages[place - 1].text}"
        self.clips[place] = self.runner.run(call, _SCOPE).text
        self.middles[place] = clip_middle(text, lambda cut: counter.count(cut) <= self.tokens)
        self.spent.append(Spent(*map(counter.count, (text, self.clips[place], self.middles[place]))))

    def needs(self, group: str) -> Iterator[Need]:
        """The values at risk: each where it is first used, if every result that had it was cut."""
        for place, message in enumerate(self.messages):
            before = [at for at in range(place) if self.messages[at].role == "result"]
            said = "\n".join(each.text for each in self.messages[:place] if each.role != "result")
            for value in dict.fromkeys(message.values):
                has = re.compile(rf"(?<!\w){re.escape(value)}(?!\w)").search
                held = [at for at in before if has(self.messages[at].text)]
                if not held or has(said) or any(self.clips[at] == self.messages[at].text for at in held):
                    continue
                kept = any(has(self.clips[at]) for at in before)
                middle = any(has(self.middles[at]) for at in before)
                yield Need(group, kept, middle, kept or has(self._read(held[-1], place)) is not None)

    def _read(self, result: int, place: int) -> str:
        """What one search of the full result returns before the call at `place`."""
        reference = re.search(r'ref="(\w+)"\)\]\Z', self.clips[result])
        if reference is None:
            return ""
        message = self.messages[place]
        thought = message.thought
        for value in message.values:
            thought = thought.replace(value, " ")
        query = " ".join(
            [self._user(place), thought, message.call.name if message.call else "", *message.names]
        )
        call = Call(id="read", name=READ, arguments={"ref": reference[1], "query": query})
        return self.runner.run(call, _SCOPE).text

    def _user(self, place: int) -> str:
        return next((each.text for each in reversed(self.messages[:place]) if each.role == "user"), "")


def transcript(case: Case) -> list[Message]:
    """The case's messages; in a transcript without a tool's role, what follows an assistant is a result."""
    found: list[Message] = []
    tools = any(item.role == "tool" for item in case.items)
    acted = False
    for item in case.items:
        if item.role == "assistant":
            acted = True
            found.append(_assistant(item.text, len(found)))
        else:
            result = item.role == "tool" or (item.role == "user" and acted and not tools)
            found.append(Message("result" if result else item.role, item.text))
    return found


def _assistant(text: str, place: int) -> Message:
    """A message with its call: `name({json})` at its end, or a command in a fence, whose words are values."""
    call, action = _CALL.search(text), _ACTION.search(text)
    if call:
        try:
            arguments = json.loads(call[2])
        except ValueError:
            arguments = {}
        return Message(
            "assistant",
            text,
            text[: call.start()],
            Call(id=str(place), name=call[1], arguments=arguments),
            tuple(_values(arguments)),
            tuple(arguments),
        )
    if action:
        words = tuple(word for word in _WORD.findall(action[1]) if len(word) >= SHORTEST)
        command = Call(id=str(place), name=words[0] if words else "")
        return Message("assistant", text, text[: action.start()], command, words)
    return Message("assistant", text, text)


def _values(found: Any) -> Iterator[str]:
    """Strings and numbers; of a string with line breaks or of a command, its words."""
    if isinstance(found, dict | list):
        for each in found.values() if isinstance(found, dict) else found:
            yield from _values(each)
    elif isinstance(found, str | int | float) and not isinstance(found, bool):
        whole = str(found)
        parts = [whole] if len(whole.split()) <= 1 else [whole, *_WORD.findall(whole)]
        yield from (part for part in parts if len(part) >= SHORTEST)
