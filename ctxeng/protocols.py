"""The seams: small protocols with at least two real implementers each. Read second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from ctxeng.turn import (
    Answer,
    Ask,
    Call,
    Context,
    Feedback,
    Request,
    Result,
    Scope,
    Section,
    SectionKind,
    Step,
    Tool,
    Truth,
    Turn,
    Usage,
    Value,
)

if TYPE_CHECKING:  # a seam names the values of a higher layer, and never loads them
    from ctxeng.playbook.book import Playbook
    from ctxeng.playbook.delta import Delta

ModelRole = Literal["answer", "reflect", "curate", "summarize", "judge", "retrieve"]


@dataclass(frozen=True)
class Allowance:
    """What one source may spend: `tokens` as priced by `price`; `deadline` is a time.monotonic() second."""

    tokens: int
    price: Callable[[Section], int]
    deadline: float | None = None

    def priced(self, section: Section) -> Section:
        """The section with its price filled in."""
        return section.model_copy(update={"tokens": self.price(section)})

    def fill(self, sections: Sequence[Section]) -> list[Section]:
        """Those sections, in order, that fit one after another; what does not fit is skipped."""
        kept, left = [], self.tokens
        for section in map(self.priced, sections):
            if section.tokens <= left:
                kept.append(section)
                left -= section.tokens
        return kept


@dataclass(frozen=True)
class Layout:
    """The order in which a model's prompt is rendered, from what changes least to what changes most."""

    order: tuple[SectionKind, ...] = (
        "tool",
        "system",
        "playbook",
        "summary",
        "message",
        "chunk",
        "query",
        "step",
    )
    cache_marks: int = 0  # how many explicit cache marks the provider takes; 0: it caches by itself
    text_prompt: bool = False  # one prompt string instead of chat messages


class Event(Value):
    """What streams out of a model or a graph."""

    type: Literal["text", "thinking", "call", "usage", "node"]
    text: str = ""
    call: Call | None = None
    usage: Usage | None = None
    node: str = ""


OnEvent = Callable[[Event], None]


class Source(Protocol):
    """A feature that has something to say in the window. Reads only; never calls a generative model."""

    def gather(self, request: Request, allowance: Allowance) -> list[Section]:
        """Sections, priced by `allowance.price`, whose sum is at most `allowance.tokens`."""
        ...


@runtime_checkable
class MayBeQuiet(Protocol):
    """A source that can tell beforehand that it has nothing to say; others then divide its share."""

    def quiet(self, request: Request) -> bool:
        """Whether `gather` would return nothing for this request, whatever it might spend."""
        ...


class Model(Protocol):
    """Something that answers a context."""

    @property
    def name(self) -> str:
        """The name it is known by in logs and settings."""
        ...

    @property
    def window(self) -> int:
        """Tokens of prompt and reply together."""
        ...

    @property
    def layout(self) -> Layout:
        """How its prompt is ordered."""
        ...

    def price(self, section: Section) -> int:
        """Tokens the section costs in this model's prompt, overhead included."""
        ...

    def price_context(self, context: Context) -> int:
        """Tokens of the whole prompt, as this model's provider would bill it."""
        ...

    def answer(self, context: Context, ask: Ask, on_event: OnEvent | None = None) -> Answer:
        """The answer. Raises ModelError; retries happen inside and never after the first event."""
        ...

    async def aanswer(self, context: Context, ask: Ask, on_event: OnEvent | None = None) -> Answer:
        """The same, awaited."""
        ...


@runtime_checkable
class Managed(Protocol):
    """A source that the model itself may change in the middle of a turn, by calls of its own tools.

    What it shows from then on travels in `request.pinned`, so that a turn stays a value.
    """

    def meant(self, call: Call) -> Call:
        """The call that is meant, where one call wraps another; its id stays."""
        ...

    def offered(self, name: str, request: Request) -> Tool | None:
        """The source's tool of this name, if the model may call it in this turn."""
        ...

    def manage(self, call: Call, request: Request, beside: Sequence[Call]) -> Result | None:
        """The result of a call by which the model manages this source; None where it is no such call.

        `beside` are all calls of the same step, this one among them.
        """
        ...

    def adjusted(self, request: Request, step: Step) -> tuple[Request, bool]:
        """The request after the step's managing calls, and whether the window must be assembled anew."""
        ...


@dataclass(frozen=True)
class Absorbed:
    """How many of a turn's newest steps the window still has to show itself; what it cost, by role."""

    stay: int
    usage: dict[str, Usage] = field(default_factory=dict)


@runtime_checkable
class Remembers(Protocol):
    """A source that keeps what was said, and what shrinks it; the one that writes while a turn runs."""

    def remember(self, turn: Turn) -> dict[str, Usage]:
        """Keep the turn, and shrink what is due; what that cost by role. Idempotent by `turn.id`."""
        ...

    def absorb(self, turn_id: str, request: Request, steps: Sequence[Step]) -> Absorbed | None:
        """Take over the older steps of a running turn, whose window is full; None where that cannot be.

        What was taken over is in what the source gathers from then on. Idempotent by `turn_id`.
        """
        ...


class Models(Protocol):
    """A model for each role."""

    def role(self, role: ModelRole) -> Model:
        """The model that plays this role."""
        ...


class Prepare(Protocol):
    """A step before assembly that may call a model, with a token cap of its own."""

    def prepare(self, request: Request, models: Models) -> tuple[Request, Usage]:
        """The request, enriched, and what that cost."""
        ...


class Runner(Protocol):
    """Something that runs tool calls."""

    def run(self, call: Call, scope: Scope) -> Result:
        """The call's result; a failing tool is a result with `is_error`."""
        ...

    async def arun(self, call: Call, scope: Scope) -> Result:
        """The same, awaited."""
        ...


class Judge(Protocol):
    """Something that turns an outcome into feedback."""

    def judge(self, turn: Turn, truth: Truth | None) -> Feedback:
        """Labelled, observed or unlabelled feedback; Unlabelled when it cannot tell."""
        ...


@dataclass(frozen=True)
class Proposal:
    """What a learner wants changed, what finding it out cost by role, and what failed on the way."""

    deltas: tuple[Delta, ...]
    usage: dict[str, Usage] = field(default_factory=dict)
    failures: tuple[str, ...] = ()


class Learner(Protocol):
    """A learning method: judged turns in, proposed deltas out."""

    def propose(self, turns: Sequence[Turn], playbook: Playbook) -> Proposal:
        """Deltas for the next version of the playbook; the playbook is not touched."""
        ...


class Observer(Protocol):
    """Something that wants to know of every finished turn (memory, tool priors, the log)."""

    def observe(self, turn: Turn) -> None:
        """Take note. Idempotent by `turn.id`."""
        ...
