"""The nouns of an evaluation: items that a window can be made of, cases, datasets, outcomes. Read first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, overload

from pydantic import JsonValue

from ctxeng.message import Value, WellFormed
from ctxeng.turn import Usage

TWIN = "~deleted"  # behind the id of a case: its copy without evidence
ItemKind = Literal["chunk", "tool", "message", "entry"]


class Item(Value):
    """A piece that a window can be made of: a sentence, a message, a tool. Gold refers to its `id`.

    `text` is searched; `shown` is what stands in the window where that differs (a tool's schema). Items of
    one `source` belong to one document, session or server, and stand in reading order.
    """

    id: str
    text: WellFormed
    title: WellFormed = ""
    source: str = ""
    kind: ItemKind = "chunk"
    role: str = ""
    shown: WellFormed = ""

    @property
    def body(self) -> str:
        """What stands in the window."""
        return self.shown or self.text


class Case(Value):
    """One question with what is known of its answer (inspect_ai: a sample).

    Its items are its own ones and those of the dataset's pool `pool`, in that order. `target` is the answer,
    a list is several accepted ones; `gold` names the items that hold the evidence, in order of need. Cases
    of one `group` (a record, a session) are no independent draws: they are resampled together. `twin` names
    the case of which this one is the copy without evidence.
    """

    id: str
    question: WellFormed
    target: JsonValue = None
    choices: tuple[str, ...] = ()
    items: tuple[Item, ...] = ()
    pool: str = ""
    gold: tuple[str, ...] = ()
    group: str = ""
    turn: int = 0
    system: WellFormed = ""
    tags: dict[str, str | int | float] = {}
    twin: str = ""


@dataclass(frozen=True)
class Made(Sequence[Case]):
    """Cases made when they are asked for, each from its index alone: a million of them take no memory."""

    length: int
    make: Callable[[int], Case]

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, index: int) -> Case: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Case]: ...
    def __getitem__(self, index: int | slice) -> Case | Sequence[Case]:
        if isinstance(index, slice):
            chosen = range(self.length)[index]
            return Made(len(chosen), lambda place: self.make(chosen[place]))
        return self.make(range(self.length)[index])

    def __iter__(self) -> Iterator[Case]:
        return (self.make(index) for index in range(self.length))


@dataclass(frozen=True)
class Dataset:
    """Cases, and the pools of items that many of them share."""

    name: str
    cases: Sequence[Case]
    pools: Mapping[str, Sequence[Item]] = field(default_factory=dict)

    def items(self, case: Case) -> Sequence[Item]:
        """Everything that a window for this case can be made of."""
        shared = self.pools[case.pool] if case.pool else ()
        return (*case.items, *shared) if case.items else shared


class Piece(Value):
    """A piece of a window: where it came from, what it is, what it cost. no `text` for dataset items."""

    source: str
    kind: str
    ref: str = ""
    tokens: int = 0
    text: WellFormed = ""


class Outcome(Value):
    """What a subject made of a case: an answer, what it selected (ids in window order), the window, the bill.

    `confidence` is the probability it gives its answer; `prefix` the share of the previous prompt's bytes
    that this one begins with; `held` the bytes it keeps between cases.
    """

    answer: JsonValue = None
    confidence: float | None = None
    selected: tuple[str, ...] = ()
    window: tuple[Piece, ...] = ()
    usage: dict[str, Usage] = {}
    prefix: float | None = None
    held: int | None = None

    @property
    def tokens(self) -> int:
        """Tokens of the window."""
        return sum(piece.tokens for piece in self.window)


Solver = Callable[[Case], Outcome]


class Subject(Protocol):
    """What is evaluated (inspect_ai: a solver). A frozen dataclass whose fields are its options."""

    @property
    def sequential(self) -> bool:
        """Whether it learns from case to case, so that cases have to come one after another."""
        ...

    def open(self, dataset: Dataset) -> Solver:
        """A solver for the dataset's cases; what all of them share (an index) is built here, once."""
        ...


class Generator(Protocol):
    """A family of cases made from a seed. A frozen dataclass whose fields are its parameters."""

    @property
    def metric(self) -> str:
        """The metric its answers are scored with."""
        ...

    def cases(self) -> Sequence[Case]:
        """Its cases; equal parameters give equal cases."""
        ...

    def read(self, case: Case, items: Sequence[Item]) -> JsonValue:
        """The reference solver: the answer that follows from the question and these items alone.

        With all items of the case it is right; where the evidence is missing it guesses among the choices,
        or says "". It never looks at the case's target, gold or tags.
        """
        ...

    def chance(self, case: Case) -> float:
        """The expected score of an answer given without any item."""
        ...
