"""ExtAgents: many calls each read a part of an input beyond any window, one reasons on their extracts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from pydantic import Field, TypeAdapter

from ctxeng.chunks.iterate.base import Search, Stop, Trace, Work, at_least, extended, opened, reply, rows
from ctxeng.chunks.iterate.meter import Metered
from ctxeng.chunks.iterate.parts import extract, partition
from ctxeng.message import WellFormed
from ctxeng.protocols import Models
from ctxeng.text.prompts import Prompts
from ctxeng.turn import Ask, Chunk, Context, Request, Section, Usage, Value

_KNOWN = 8  # the share of the window for extracts of earlier rounds is one of this many
_SMALLEST = 64  # tokens: a part below this says nothing


class Extract(Value):
    """A text copied from the document in row `id`; `score` says how much it helps."""

    id: int
    text: WellFormed
    score: float = Field(ge=0, le=1)


class Extracts(Value):
    """A seeking call's reply."""

    extracts: tuple[Extract, ...] = ()


class Verdict(Value):
    """The reasoning call's reply."""

    sufficient: bool = False
    answer: WellFormed = ""


_SEEK, _REASON = TypeAdapter(Extracts), TypeAdapter(Verdict)


@dataclass(frozen=True)
class ExtTrace(Trace):
    """`read` has, for each round, how many of `parts` were read; `prefixes` the sizes that were reasoned on.

    `extracts` are all that were made, best first.
    """

    parts: int = 0
    read: tuple[int, ...] = ()
    prefixes: tuple[int, ...] = ()
    extracts: tuple[Chunk, ...] = ()


@dataclass(frozen=True)
class ExtAgents:
    """ExtAgents: the request's chunks, or the `k` that a search finds, are read in parts of `part_tokens`.

    In each of at most `rounds` rounds every part is read by a call of its own, `workers` at a time, which
    the model must allow. What they extract is sorted by their own scores; a reasoning call is shown the best
    1, 2, 4, 8 ... until it can answer; if it never can, all parts are read again with the extracts beside.

    Where it can, those extracts stand in front of the request's chunks, otherwise all that were made; what a
    search found for a request without chunks is added behind only where they do not suffice. An input that
    fits one part is left as it is, and no call is made.
    """

    search: Search | None = None
    cap: int = 400_000
    part_tokens: int = 8_000
    rounds: int = 5
    workers: int = 8
    k: int = 200
    reply: int = 1_024
    prompts: Prompts = Prompts()
    on_trace: Callable[[Trace], None] | None = None

    def __post_init__(self) -> None:
        at_least(1, cap=self.cap, rounds=self.rounds, workers=self.workers, k=self.k, reply=self.reply)
        at_least(_SMALLEST, part_tokens=self.part_tokens)

    def prepare(self, request: Request, models: Models) -> tuple[Request, Usage]:
        """The request with extracts, best first, in front of its chunks."""
        work = opened("ext_agents", request, models, self.search, self.cap, self.prompts, self.reply)
        if work is None:
            return request, Usage()
        given = request.chunks or tuple(work.find(work.question, self.k))
        reading = _Reading(self, work, given)
        enough = reading.run()
        if self.on_trace is not None:
            self.on_trace(reading.trace())
        found = enough or (*reading.best, *(() if request.chunks else given))
        return extended(request, found), work.model.usage


@dataclass
class _Reading:
    """One input being read: its parts, and the extracts so far by id, each with its score."""

    options: ExtAgents
    work: Work
    given: Sequence[Chunk]
    parts: list[list[Chunk]] = field(default_factory=list)
    scored: dict[str, tuple[float, Chunk]] = field(default_factory=dict)
    read: list[int] = field(default_factory=list)
    prefixes: list[int] = field(default_factory=list)

    @property
    def best(self) -> list[Chunk]:
        """The extracts, best first; of equals, the one found first."""
        return [chunk for _, chunk in sorted(self.scored.values(), key=lambda pair: -pair[0])]

    def run(self) -> Sequence[Chunk]:
        """The fewest of the best extracts that the model can answer from; none where it never can."""
        room = self._room()
        if room < _SMALLEST:
            self.work.stopped = "cap"
            return ()
        self.parts = partition(self.given, room, self._price)
        if len(self.parts) < 2:  # noqa: PLR2004 - nothing to divide
            self.work.stopped = "enough"
            return ()
        for _ in range(self.options.rounds):
            if not self._seek():
                break
            if enough := self._reason():
                return enough
            if self.work.stopped != "rounds":
                break
        return ()

    def trace(self) -> ExtTrace:
        """What was done."""
        done = self.work.trace()
        return ExtTrace(
            done.method,
            done.stopped,
            done.usage,
            done.asked,
            done.unknown,
            len(self.parts),
            tuple(self.read),
            tuple(self.prefixes),
            tuple(self.best),
        )

    def _seek(self) -> bool:
        """Read all parts, as far as the cap reaches; whether that brought anything new."""
        known = rows(self._known())
        calls = [self.work.call(self._seeking(known, part), _SEEK) for part in self.parts]
        meters = self.work.model.split(calls)

        def read(job: tuple[Metered, tuple[Context, Ask]]) -> tuple[Extracts | None, Stop | None]:
            return reply(*job, _SEEK, self.work.method)

        with ThreadPoolExecutor(self.options.workers) as threads:
            said = list(threads.map(read, zip(meters, calls, strict=False)))
        self.work.model.join(meters)
        self.read.append(sum(found is not None for found, _ in said))
        before = len(self.scored)
        for part, (found, _) in zip(self.parts, said, strict=False):
            self._take(part, () if found is None else found.extracts)
        if len(self.scored) > before:
            return True
        complete = self.read[-1] == len(self.parts)
        self.work.stopped = "nothing" if complete else "cap" if len(meters) < len(calls) else "failed"
        return False

    def _take(self, part: Sequence[Chunk], extracts: Sequence[Extract]) -> None:
        for each in extracts:
            for piece in self.work.pointed([each.id], part) if each.text.strip() else ():
                chunk = extract(piece, each.text)
                score, first = self.scored.get(chunk.id, (0.0, chunk))
                self.scored[chunk.id] = (max(score, each.score), first)

    def _reason(self) -> Sequence[Chunk]:
        """The first of the prefixes of 1, 2, 4, 8 ... extracts that suffices; none where none does."""
        best, size = self.best, 1
        while self.work.stopped == "rounds":
            shown = self.work.fitting(_REASON, best[:size], self._reasoning)
            said = None if shown is None else self.work.ask(self._reasoning(rows(shown)), _REASON)
            if shown is None or said is None:
                break
            self.prefixes.append(len(shown))
            if said.sufficient:
                self.work.stopped = "enough"
                return shown
            if len(shown) < size or size >= len(best):
                break
            size *= 2
        return ()

    def _seeking(self, known: str, part: Sequence[Chunk]) -> str:
        return self.options.prompts.fill(
            "extract", question=self.work.question, known=known, documents=rows(part)
        )

    def _reasoning(self, documents: str) -> str:
        return self.options.prompts.fill("sufficient", question=self.work.question, documents=documents)

    def _known(self) -> list[Chunk]:
        """The best extracts so far, as many as their share of the window holds."""
        left, kept = self.work.model.window // _KNOWN, []
        for chunk in self.best:
            left -= self._price(chunk)
            if left < 0:
                break
            kept.append(chunk)
        return kept

    def _room(self) -> int:
        """Tokens of a part."""
        model = self.work.model
        frame = model.price_call(*self.work.call(self._seeking("", []), _SEEK))
        left = model.window - model.window // _KNOWN - frame - self.work.reply
        return min(self.options.part_tokens, left)

    def _price(self, chunk: Chunk) -> int:
        return self.work.model.price(Section(kind="system", source="part", body=rows([chunk])))
