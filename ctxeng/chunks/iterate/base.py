"""What steps that retrieve with a model have in common: searching, asking within a cap, merging, a trace."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import zip_longest
from typing import Literal, TypeVar

from pydantic import JsonValue, TypeAdapter

from ctxeng.chunks.closest import Closest
from ctxeng.chunks.iterate.meter import CapReached, Metered
from ctxeng.errors import BadInput, Cancelled, ModelError
from ctxeng.protocols import Models
from ctxeng.text.prompts import Prompts
from ctxeng.text.replies import ask_json
from ctxeng.turn import Ask, Chunk, Context, Request, Schema, Section, Usage, user

logger = logging.getLogger(__name__)
T = TypeVar("T")

Search = Callable[[str, int], Sequence[Chunk]]  # the k best chunks for a question, best first
Stop = Literal["enough", "rounds", "repeated", "nothing", "cap", "failed"]


@dataclass(frozen=True)
class Asked:
    """A question that was searched for, the ids found, and the answer read from them so far."""

    question: str
    found: tuple[str, ...] = ()
    answer: str = ""


@dataclass(frozen=True)
class Trace:
    """What a step did. `stopped` says why it ended; `unknown` counts references to chunks never shown.

    "enough": the model had what it needed (a decomposition: its one reply came). "rounds": no rounds were
    left. "repeated": it asked again what it had asked. "nothing": a round brought nothing new. "cap": the
    next call would have passed the cap, or the window. "failed": the model could not answer, or not in form.
    """

    method: str
    stopped: Stop
    usage: Usage
    asked: tuple[Asked, ...] = ()
    unknown: int = 0


@dataclass
class Work:
    """One `prepare` at work: the question, where to search, and a model that is asked within the cap."""

    method: str
    question: str
    search: Search
    model: Metered
    prompts: Prompts
    reply: int
    stopped: Stop = "rounds"
    unknown: int = 0
    asked: list[Asked] = field(default_factory=list)

    def call(self, prompt: str, form: TypeAdapter[T]) -> tuple[Context, Ask]:
        """A prompt as a call of the model that asks for JSON of this form."""
        ask = Ask(max_tokens=self.reply, temperature=0.0, want=Schema(json_schema=form.json_schema()))
        return Context(sections=(Section(kind="query", source=self.method, body=user(prompt)),)), ask

    def ask(self, prompt: str, form: TypeAdapter[T]) -> T | None:
        """The model's reply; None, with `stopped` set, where the cap or a failure stands in the way."""
        outcome = reply(self.model, self.call(prompt, form), form, self.method)
        self.stopped = outcome[1] or self.stopped
        return outcome[0]

    def fitting(
        self, form: TypeAdapter[T], chunks: Sequence[Chunk], fill: Callable[[str], str]
    ) -> Sequence[Chunk] | None:
        """The chunks, from the first, that `fill` can take as documents within the window and the cap.

        None, with `stopped` set, where there are some and none of them fits: a call would find out nothing.
        """
        low, high = 0, len(chunks)
        room = min(self.model.window, self.model.left) - self.reply
        while low < high:
            middle = (low + high + 1) // 2
            if self.model.price_call(*self.call(fill(rows(chunks[:middle])), form)) <= room:
                low = middle
            else:
                high = middle - 1
        if chunks and not low:
            self.stopped = "cap"
            return None
        return chunks[:low]

    def find(self, question: str, k: int) -> list[Chunk]:
        """What a search finds; noted as asked."""
        found = list(self.search(question, k))[:k]
        self.asked.append(Asked(question, tuple(chunk.id for chunk in found)))
        return found

    def pointed(self, ids: Iterable[int], shown: Sequence[Chunk]) -> list[Chunk]:
        """The chunks these row numbers point at, each once; numbers that were not shown are counted."""
        known: dict[int, Chunk] = {}
        for number in ids:
            if 1 <= number <= len(shown):
                known.setdefault(number, shown[number - 1])
            else:
                self.unknown += 1
        return list(known.values())

    def trace(self) -> Trace:
        """What was done."""
        return Trace(self.method, self.stopped, self.model.usage, tuple(self.asked), self.unknown)


def reply(
    model: Metered, call: tuple[Context, Ask], form: TypeAdapter[T], method: str
) -> tuple[T | None, Stop | None]:
    """What the model replies; or None and why, since a turn goes on without what could not be found out.

    Raises Cancelled, which is no failure.
    """
    try:
        return ask_json(model, *call, form, method)[0], None
    except CapReached:
        return None, "cap"
    except Cancelled:
        raise
    except ModelError as error:
        logger.warning("%s: %s; the turn goes on with what was found so far", method, error)
        return None, "failed"


def opened(
    method: str,
    request: Request,
    models: Models,
    search: Search | None,
    cap: int,
    prompts: Prompts,
    reply: int,
) -> Work | None:
    """The work of one step; None where there is no question in words, or nothing to search.

    Without a `search`, the request's own chunks are searched.
    """
    question = request.query.text.strip()
    if not question or (search is None and not request.chunks):
        return None
    model = models.role("retrieve")
    limit = min(reply, max(1, model.window // 2))
    return Work(method, question, search or within(request.chunks), Metered(model, cap), prompts, limit)


def within(chunks: Sequence[Chunk]) -> Search:
    """A search of these chunks, which are indexed when it is first used."""
    closest = cache(lambda: Closest(chunks))
    return lambda question, k: closest().near(question)[:k]


def rows(chunks: Sequence[Chunk]) -> str:
    """Chunks as numbered lines of JSON, so that no text of theirs can look like another chunk."""
    return "\n".join(
        _line({"id": number, "title": chunk.title, "text": chunk.text})
        for number, chunk in enumerate(chunks, 1)
    )


def steps(asked: Sequence[Asked]) -> str:
    """Questions and their answers as lines of JSON."""
    return "\n".join(_line({"question": each.question, "answer": each.answer}) for each in asked)


def _line(value: dict[str, JsonValue]) -> str:
    # JSON may write "/" as "\/"; done here, it is priced, and filling a prompt finds nothing to change
    return json.dumps(value, ensure_ascii=False).replace("</", "<\\/")


def interleaved(lists: Sequence[Sequence[Chunk]]) -> list[Chunk]:
    """The first of each list, then the second of each, and so on."""
    return [chunk for rank in zip_longest(*lists) for chunk in rank if chunk is not None]


def extended(request: Request, found: Iterable[Chunk]) -> Request:
    """The request with what was found in front, each id once, and all its other chunks behind as they were.

    A chunk that it brought itself keeps its own text and trust.
    """
    own: dict[str, list[Chunk]] = {}
    for chunk in request.chunks:
        own.setdefault(chunk.id, []).append(chunk)
    first: dict[str, list[Chunk]] = {}
    for chunk in found:
        first.setdefault(chunk.id, own.get(chunk.id, [chunk]))
    front = [chunk for same in first.values() for chunk in same]
    rest = [chunk for chunk in request.chunks if chunk.id not in first]
    return request.model_copy(update={"chunks": (*front, *rest)})


def at_least(least: int, **options: int) -> None:
    """Nothing, where all options are that large. Raises BadInput, which names the one that is not."""
    for name, value in options.items():
        if value < least:
            raise BadInput(f"{name} is {value}, it must be at least {least}")
