"""Tool schemas made smaller, the least meaning first, with every call still valid."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ctxeng.errors import BadInput
from ctxeng.tools.trim_noise import quiet
from ctxeng.tools.trim_optional import Way, optionals, read, stripped, without, written
from ctxeng.tools.trim_refs import resolved, self_contained
from ctxeng.tools.trim_text import clipped, spoken, unsaid
from ctxeng.tools.trim_walk import Path, rebuilt
from ctxeng.turn import Tool

Price = Callable[[Tool], int]
State = tuple[Tool, tuple[Way, ...]]  # a tool, and what it has lost
Step = tuple[int, Callable[[int], State]]  # how far the step can go, and the tool after going so far


@dataclass(frozen=True)
class Trimmed:
    """A tool that was trimmed, and its price in tokens; `fits` says whether that is what was asked for.

    `dropped` are paths of optional parameters: `limit`, `filter.since`, `rows[].id`. `*` or `filter.*` stands
    for parameters that an object did not declare and accepted all the same: dropping one closes the object.
    """

    tool: Tool
    dropped: tuple[str, ...]
    tokens: int
    fits: bool

    def without(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """A call's arguments without those that were dropped."""
        found: dict[str, Any] = stripped(
            arguments, self.tool.parameters, [read(path) for path in self.dropped]
        )
        return found


@dataclass(frozen=True)
class Trimmer:
    """Trims a tool step by step, each step only as far as it must go, until the tool fits.

    1. References are resolved or pruned where that is shorter; those in a cycle stay.
    2. What means nothing to a caller goes: comments, echoes of names, defaults of JSON Schema.
    3. Examples go, and titles beside descriptions.
    4. Sentences of descriptions go, but the first ones and those with numbers, units, formats, obligations or
       names of values and parameters; the later ones first.
    5. Sentences of more than `longest` characters are cut at a word.
    6. The telling sentences go too; first ones stay.
    7. Optional parameters go, at any depth, none in `keep`: deprecated ones, then the longest schema for the
       least that is said of its use. An object that was open to undeclared parameters is closed.
    8. The end: first sentences of optional parameters go, then of required ones, then the tool's description
       is cut to `shortest` characters. Name, required parameters and their types are never touched.

    Every call that the full schema accepts is accepted by the trimmed one once the dropped parameters are
    taken out of it (`Trimmed.without`); every call that the trimmed schema accepts the full one accepts too.
    Where a change would not be provably safe (under `anyOf`, `not`, `patternProperties`, `unevaluated...`,
    in shared definitions) that part stays as it is. The same tool, price and limit give the same result.
    """

    longest: int = 300
    shortest: int = 80

    def __post_init__(self) -> None:
        if not 1 <= self.shortest <= self.longest:
            raise BadInput(f"shortest is {self.shortest}, it must be from 1 to longest, {self.longest}")

    def trim(self, tool: Tool, price: Price, tokens: int, keep: Collection[str] = ()) -> Trimmed:
        """The tool at no more than `tokens` by `price`, or as small as it gets, `fits` then being false."""
        state: State = (tool, ())
        now = price(tool)
        for begin in (_lossless, _lean, _plain, self._clip, _telling, _drop(keep), _bare, self._end):
            for furthest, after in begin(state) if now > tokens else ():
                found, cost = _first_that_fits(after, furthest, price, tokens)
                if cost < now:
                    state, now = found, cost
        return Trimmed(state[0], tuple(written(way) for way in state[1]), now, now <= tokens)

    def lossless(self, tool: Tool) -> Tool:
        """The tool after the steps that lose nothing: references and noise."""
        return _quieted(_referenced(tool))

    def _clip(self, state: State) -> Iterator[Step]:
        yield 1, lambda _: (clipped(state[0], self.longest), state[1])

    def _end(self, state: State) -> Iterator[Step]:
        tool, lost = state
        yield 1, lambda _: (clipped(tool, self.shortest), lost)


def _first_that_fits(
    after: Callable[[int], State], furthest: int, price: Price, tokens: int
) -> tuple[State, int]:
    """The state after going as far as it must, by bisection; after going all the way where nothing fits."""
    low, high = 1, furthest
    best = after(furthest)
    cost = price(best[0])
    while low < high and cost <= tokens:
        middle = (low + high) // 2
        state = after(middle)
        spent = price(state[0])
        if spent <= tokens:
            best, cost, high = state, spent, middle
        else:
            low = middle + 1
    return best, cost


def _lossless(state: State) -> Iterator[Step]:
    tool, lost = state
    yield 2, lambda far: (_quieted(_referenced(tool)) if far > 1 else _referenced(tool), lost)


def _referenced(tool: Tool) -> Tool:
    return tool.model_copy(update={"parameters": resolved(tool.parameters)})


def _quieted(tool: Tool) -> Tool:
    # a reference to the inside of the schema could point at what is taken for noise
    if not self_contained(tool.parameters):
        return tool
    return tool.model_copy(update={"parameters": quiet(tool.parameters, tool.description)})


def _lean(state: State) -> Iterator[Step]:
    tool, lost = state

    def lean(each: dict[str, Any], _: Path) -> dict[str, Any]:
        gone = {"examples", "example", *(["title"] if each.get("description") else [])}
        return {key: value for key, value in each.items() if key not in gone}

    if self_contained(tool.parameters):
        yield 1, lambda _: (tool.model_copy(update={"parameters": rebuilt(tool.parameters, lean)}), lost)


def _plain(state: State) -> Iterator[Step]:
    yield _said(state, range(1))


def _telling(state: State) -> Iterator[Step]:
    yield _said(state, range(2))


def _bare(state: State) -> Iterator[Step]:
    yield _said(state, range(4))


def _said(state: State, tiers: range) -> Step:
    tool, lost = state
    gone = [each for each in spoken(tool) if each.tier in tiers]
    return len(gone), lambda far: (unsaid(tool, gone[:far]), lost)


def _drop(keep: Collection[str]) -> Callable[[State], Iterator[Step]]:
    def begin(state: State) -> Iterator[Step]:
        tool, lost = state
        ways = [each.way for each in optionals(tool.parameters, tool.description, keep)]
        if not self_contained(tool.parameters):
            return

        def after(far: int) -> State:
            parameters, gone = without(tool.parameters, ways[:far])
            return tool.model_copy(update={"parameters": parameters}), (*lost, *gone)

        yield len(ways), after

    return begin
