"""The nouns: what goes into a turn, what comes out, what is learned from it. Read first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import JsonValue, field_validator

from ctxeng.ask import Ask, Choice, Choices, FreeText, Schema, Want
from ctxeng.feedback import Edited, Feedback, Labelled, Observed, Truth, Unlabelled
from ctxeng.message import (
    TRUST_ORDER,
    Call,
    Image,
    Message,
    Opaque,
    Part,
    Result,
    Role,
    Text,
    Trust,
    Value,
    WellFormed,
    assistant,
    least_trust,
    user,
)

__all__ = [
    "TRUST_ORDER",
    "Answer",
    "Ask",
    "Call",
    "Choice",
    "Choices",
    "Chunk",
    "Context",
    "Edited",
    "Feedback",
    "Finish",
    "FreeText",
    "Image",
    "Labelled",
    "Message",
    "Note",
    "Observed",
    "Opaque",
    "Part",
    "Request",
    "Result",
    "Role",
    "Schema",
    "Scope",
    "Section",
    "SectionKind",
    "Step",
    "Task",
    "Text",
    "Tool",
    "Trust",
    "Truth",
    "Turn",
    "Unlabelled",
    "Usage",
    "Value",
    "Want",
    "add_usage",
    "assistant",
    "least_trust",
    "user",
]

SectionKind = Literal["system", "playbook", "tool", "summary", "message", "chunk", "query", "step"]

# -- what a request brings ------------------------------------------------------------------------------


class Tool(Value):
    """A tool the model may call; `parameters` is a JSON Schema of type object."""

    name: str
    description: str = ""
    parameters: dict[str, JsonValue] = {"type": "object", "properties": {}}
    server: str = ""
    needs_approval: bool = False


class Chunk(Value):
    """A citable piece of a document: `source` names it, `start` and `end` are character offsets.

    `parts` are the ids of the chunks it was joined from, where it was: sentences of one paragraph, say.
    """

    id: str
    text: WellFormed
    source: str = ""
    title: WellFormed = ""
    start: int = 0
    end: int = 0
    trust: Trust = "untrusted"
    parts: tuple[str, ...] = ()


class Scope(Value):
    """Whose turn it is; a key of every store."""

    tenant: str = ""
    user: str = ""
    session: str = ""


class Request(Value):
    """What the application asks. `shown` maps a source to the refs it showed last turn.

    `pinned` maps a source to the refs that were chosen for this turn before assembly, or by the model.
    """

    query: Message
    system: WellFormed = ""
    history: tuple[Message, ...] = ()
    chunks: tuple[Chunk, ...] = ()
    tools: tuple[Tool, ...] = ()
    scope: Scope = Scope()
    agent: str = ""
    shown: dict[str, tuple[str, ...]] = {}
    pinned: dict[str, tuple[str, ...]] = {}

    @field_validator("query")
    @classmethod
    def _asks(cls, query: Message) -> Message:
        if any(part.type in {"call", "result"} for part in query.parts):
            raise ValueError("a query asks; tool calls and their results belong in history")
        return query


# -- the window -----------------------------------------------------------------------------------------


class Note(Value):
    """What a playbook entry says in the window: advice and the condition under which it holds."""

    text: str
    when: str = ""


class Section(Value):
    """A piece of the window. `ref` is what feedback points at; `slot` names a placeholder for reuse."""

    kind: SectionKind
    source: str
    body: str | Note | Message | Tool | Chunk
    tokens: int = 0
    ref: str = ""
    trust: Trust = "trusted"
    slot: str = ""


class Context(Value):
    """The window: sections in the model's layout order, and the tokens each source spent."""

    sections: tuple[Section, ...]
    spent: dict[str, int] = {}
    limit: int = 0
    loop_left: int = 0

    @property
    def tokens(self) -> int:
        """Tokens of all sections, overhead included."""
        return sum(self.spent.values())

    @property
    def refs(self) -> tuple[str, ...]:
        """Everything in the window that feedback can point at."""
        return tuple(section.ref for section in self.sections if section.ref)

    @property
    def shown(self) -> dict[str, tuple[str, ...]]:
        """The refs that each source shows, in prompt order: the next request's `shown`."""
        found: dict[str, tuple[str, ...]] = {}
        for section in self.sections:
            if section.ref and section.kind != "step":
                found[section.source] = (*found.get(section.source, ()), section.ref)
        return found

    def of(self, *kinds: SectionKind) -> tuple[Section, ...]:
        """The sections of these kinds, in order."""
        return tuple(section for section in self.sections if section.kind in kinds)


# -- what comes out -------------------------------------------------------------------------------------


class Usage(Value):
    """Tokens billed, or counted where nothing is billed; `exact` is false where they are an estimate."""

    calls: int = 0
    input: int = 0
    output: int = 0
    cached: int = 0
    cost: float = 0.0
    exact: bool = True

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            calls=self.calls + other.calls,
            input=self.input + other.input,
            output=self.output + other.output,
            cached=self.cached + other.cached,
            cost=self.cost + other.cost,
            exact=self.exact and other.exact,
        )


def add_usage(first: Mapping[str, Usage], second: Mapping[str, Usage]) -> dict[str, Usage]:
    """Usage by role, added role by role."""
    return {role: first.get(role, Usage()) + second.get(role, Usage()) for role in {**first, **second}}


Finish = Literal["stop", "length", "calls", "filtered", "cancelled"]


class Answer(Value):
    """A model's answer; `cited` are refs of sections, `attribution` says how they were found.

    `notes` say what was not as it was asked for: an approximation, a part read in order instead.
    """

    message: Message
    finish: Finish = "stop"
    parsed: JsonValue = None
    cited: tuple[str, ...] = ()
    attribution: str = ""
    usage: dict[str, Usage] = {}
    model: str = ""
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The answer's text parts."""
        return "\n".join(part.text for part in self.message.parts if isinstance(part, Text))

    @property
    def calls(self) -> tuple[Call, ...]:
        """The tool calls it makes."""
        return self.message.calls


class Step(Value):
    """One call of the model and what its tool calls returned."""

    answer: Answer
    results: tuple[Result, ...] = ()


class Task(Value):
    """A request with its truth. Tasks of one `group` reveal their truths together."""

    id: str
    request: Request
    want: Want = FreeText()
    truth: Truth | None = None
    group: str = ""


class Turn(Value):
    """One request and all that came of it: the line in the log, the unit of replay and of learning.

    `shown` says what each source showed, also where the log has dropped the text of it.
    """

    id: str
    request: Request
    ask: Ask = Ask()
    parent: str = ""
    attempt: int = 0
    time: str = ""
    playbooks: tuple[str, ...] = ()
    context: Context = Context(sections=())
    shown: dict[str, tuple[str, ...]] = {}
    steps: tuple[Step, ...] = ()
    answer: Answer | None = None
    error: str = ""
    feedback: Feedback = Unlabelled()
    deltas: tuple[str, ...] = ()
    usage: dict[str, Usage] = {}
