"""The nouns: what goes into a turn, what comes out, what is learned from it. Read first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from ctxeng.feedback import Feedback, Labelled, Observed, Truth, Unlabelled
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
    """A citable piece of a document: `source` names it, `start` and `end` are character offsets."""

    id: str
    text: WellFormed
    source: str = ""
    title: WellFormed = ""
    start: int = 0
    end: int = 0
    trust: Trust = "untrusted"


class Scope(Value):
    """Whose turn it is; a key of every store."""

    tenant: str = ""
    user: str = ""
    session: str = ""


class Request(Value):
    """What the application asks. `shown` maps a source to the refs it showed last turn."""

    query: Message
    system: WellFormed = ""
    history: tuple[Message, ...] = ()
    chunks: tuple[Chunk, ...] = ()
    tools: tuple[Tool, ...] = ()
    scope: Scope = Scope()
    agent: str = ""
    shown: dict[str, tuple[str, ...]] = {}


class Choice(Value):
    """One of several possible answers; `about` says more than its name."""

    value: str
    about: str = ""


class Choices(Value):
    """An answer that is one of a set."""

    type: Literal["choices"] = "choices"
    options: tuple[Choice, ...] = Field(min_length=1)


class Schema(Value):
    """An answer that is JSON of a given schema."""

    type: Literal["schema"] = "schema"
    json_schema: dict[str, JsonValue]


class FreeText(Value):
    """An answer in free text."""

    type: Literal["text"] = "text"


Want = Annotated[FreeText | Choices | Schema, Field(discriminator="type")]


class Ask(Value):
    """How to answer. `deadline` is a time.monotonic() second; `cancelled` is polled and never stored."""

    max_tokens: int = Field(default=1024, gt=0)
    want: Want = FreeText()
    temperature: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    tool_choice: Literal["auto", "none", "required"] = "auto"
    deadline: float | None = None
    cancelled: Callable[[], bool] | None = Field(default=None, exclude=True, repr=False)


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
    """A model's answer; `cited` are refs of sections, `attribution` says how they were found."""

    message: Message
    finish: Finish = "stop"
    parsed: JsonValue = None
    cited: tuple[str, ...] = ()
    attribution: str = ""
    usage: dict[str, Usage] = {}
    model: str = ""

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
    """One request and all that came of it: the line in the log, the unit of replay and of learning."""

    id: str
    request: Request
    ask: Ask = Ask()
    parent: str = ""
    attempt: int = 0
    time: str = ""
    playbooks: tuple[str, ...] = ()
    context: Context = Context(sections=())
    steps: tuple[Step, ...] = ()
    answer: Answer | None = None
    error: str = ""
    feedback: Feedback = Unlabelled()
    deltas: tuple[str, ...] = ()
    usage: dict[str, Usage] = {}
