"""What happens at each node of a turn, as plain functions of values; knows nothing of graphs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

from ctxeng.assemble import Assembler, step_sections
from ctxeng.budget import Budget
from ctxeng.errors import ContextOverflow, LoopSpent, WindowTooSmall
from ctxeng.models.citations import CitationFilter, attribute
from ctxeng.protocols import (
    Absorbed,
    Event,
    Managed,
    Models,
    Observer,
    OnEvent,
    Prepare,
    Remembers,
    Runner,
)
from ctxeng.text.replies import parsed_or_none
from ctxeng.turn import (
    Answer,
    Ask,
    Call,
    Context,
    Part,
    Request,
    Result,
    Scope,
    Section,
    Step,
    Tool,
    Turn,
    Usage,
    add_usage,
)

Hook = Callable[[Any], Any]  # a user's own node: takes and returns the value that the node behind it consumes
HOOKED = ("prepare", "assemble", "answer", "remember")  # nodes that a user's function can stand before
REMOVABLE = ("prepare", "act", "remember")
SMALLER = 0.8  # of the window, where a provider says that the prompt is too long after all


@dataclass(frozen=True)
class Earlier:
    """A running turn's id, and the steps it has made before the one at hand."""

    turn: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Steps:
    """The pieces of a turn, put together once and used for every turn."""

    models: Models
    assembler: Assembler
    prepares: Sequence[Prepare] = ()
    runner: Runner | None = None
    tools: Sequence[Tool] = ()
    observers: Sequence[Observer] = ()
    max_steps: int = 8
    cite: bool = True
    hooks: Mapping[str, Sequence[Hook]] = field(default_factory=dict)

    @property
    def budget(self) -> Budget:
        """The budget windows are assembled under."""
        return self.assembler.budget

    def prepare(self, request: Request) -> tuple[Request, dict[str, Usage]]:
        """The request with what preparation found, and what that cost under the role `retrieve`."""
        usage: dict[str, Usage] = {}
        request = self.hooked("prepare", request)
        for step in self.prepares:
            request, cost = step.prepare(request, self.models)
            usage = add_usage(usage, {"retrieve": cost})
        return request, usage

    def assemble(self, request: Request, ask: Ask, steps: Sequence[Section] = ()) -> Context:
        """The window of the first call, or a fresh one that holds the steps so far."""
        return self.assembler.assemble(
            self.hooked("assemble", request), self.models.role("answer"), ask, steps
        )

    def answer(
        self, context: Context, request: Request, ask: Ask, on_event: OnEvent | None
    ) -> tuple[Context, Answer]:
        """The model's answer and the window it was given; one smaller window where the provider overflows."""
        context, model = self._checked(context), self.models.role("answer")
        with _Trailer(self.cite, on_event) as heard:
            try:
                answer = model.answer(context, ask, heard)
            except ContextOverflow:
                context = self.smaller(request, context, ask)
                answer = model.answer(context, ask, heard)
        return context, self._finished(answer, context, ask)

    async def aanswer(
        self, context: Context, request: Request, ask: Ask, on_event: OnEvent | None
    ) -> tuple[Context, Answer]:
        """The same, awaited."""
        context, model = self._checked(context), self.models.role("answer")
        with _Trailer(self.cite, on_event) as heard:
            try:
                answer = await model.aanswer(context, ask, heard)
            except ContextOverflow:
                context = self.smaller(request, context, ask)
                answer = await model.aanswer(context, ask, heard)
        return context, self._finished(answer, context, ask)

    def _checked(self, context: Context) -> Context:
        """The context as hooks left it. Raises WindowTooSmall where they made it too large."""
        hooked: Context = self.hooked("answer", context)
        if hooked is not context:
            needed = self.models.role("answer").price_context(hooked)
            if needed > context.limit:
                raise WindowTooSmall(
                    needed, context.limit, "the context that a function before `answer` made"
                )
        return hooked

    def smaller(self, request: Request, context: Context, ask: Ask) -> Context:
        """The window assembled anew at four fifths of its size."""
        window = int((context.limit + ask.max_tokens) * SMALLER)
        assembler = replace(self.assembler, budget=replace(self.budget, window=window))
        request = self.hooked("assemble", request)
        return assembler.assemble(request, self.models.role("answer"), ask, context.of("step"))

    def run(self, call: Call, scope: Scope) -> Result:
        """What the call returned."""
        return _no_runner(call) if self.runner is None else self.runner.run(call, scope)

    async def arun(self, call: Call, scope: Scope) -> Result:
        """The same, awaited."""
        return _no_runner(call) if self.runner is None else await self.runner.arun(call, scope)

    def append(
        self, context: Context, request: Request, ask: Ask, step: Step, earlier: Earlier | None = None
    ) -> tuple[Request, Context, dict[str, Usage]]:
        """The request as the step left it, the window with the step behind the query, what that cost.

        The window is assembled anew once the loop reserve is spent, or where the model changed what a
        source shows. A memory takes over the `earlier` steps where the reserve is spent.
        """
        sections = step_sections(step.answer.message, step.results)
        changed = False
        for source in self.managed:
            request, anew = source.adjusted(request, step)
            changed = changed or anew
        if changed:
            return request, self.assemble(request, ask, [*context.of("step"), *sections]), {}
        try:
            return request, self.assembler.append(context, sections, self.models.role("answer")), {}
        except LoopSpent:
            steps, usage = [*context.of("step"), *sections], {}
            if earlier is not None and (absorbed := self._absorbed(request, step, earlier)) is not None:
                staying = [*earlier.steps, step][len(earlier.steps) + 1 - absorbed.stay :]
                steps = [s for each in staying for s in step_sections(each.answer.message, each.results)]
                usage = absorbed.usage
            return request, self.assemble(request, ask, steps), usage

    def _absorbed(self, request: Request, step: Step, earlier: Earlier) -> Absorbed | None:
        """What the first memory that can makes of the turn's steps so far."""
        found = (m.absorb(earlier.turn, request, (*earlier.steps, step)) for m in self.memories)
        return next((absorbed for absorbed in found if absorbed is not None), None)

    def remember(self, turn: Turn) -> Turn:
        """Tell memories and observers of a finished turn; with what remembering it cost."""
        for memory in self.memories:
            turn = turn.model_copy(update={"usage": add_usage(turn.usage, memory.remember(turn))})
        for observer in self.observers:
            observer.observe(turn)
        return turn

    def offered(self, request: Request) -> Request:
        """The request with the app's own tools; those that it brings itself come first, each name once."""
        tools = {tool.name: tool for tool in (*self.tools, *request.tools)}
        order = dict.fromkeys(tool.name for tool in (*request.tools, *self.tools))
        return request.model_copy(update={"tools": tuple(tools[name] for name in order)})

    @cached_property
    def memories(self) -> tuple[Remembers, ...]:
        """The sources that keep what was said."""
        return tuple(s for s in self.assembler.sources.values() if isinstance(s, Remembers))

    @cached_property
    def managed(self) -> tuple[Managed, ...]:
        """The sources that the model may change."""
        return tuple(s for s in self.assembler.sources.values() if isinstance(s, Managed))

    def meant(self, call: Call) -> Call:
        """The call that is meant, where a source wraps calls."""
        for source in self.managed:
            call = source.meant(call)
        return call

    def manage(self, call: Call, request: Request, beside: Sequence[Call]) -> Result | None:
        """The result of a call by which the model manages a source; None where it is a tool's."""
        found = (source.manage(call, request, beside) for source in self.managed)
        return next((result for result in found if result is not None), None)

    def refusal(self, call: Call, request: Request) -> str:
        """Why a call is not run at all: the tool was not offered. Empty where it may be."""
        return "" if self._offered(call, request) else f"no tool named {call.name!r} was offered"

    def needs_approval(self, call: Call, request: Request) -> bool:
        """Whether a person has to agree; a tool of the request cannot lift what the app demands."""
        return any(tool.needs_approval for tool in self._offered(call, request))

    def _offered(self, call: Call, request: Request) -> list[Tool]:
        """All tools that go by the name of the call, as far as it may be called."""
        own = [tool for tool in request.tools if tool.name == call.name]
        found = [source.offered(call.name, request) for source in self.managed]
        offered = [*own, *(tool for tool in found if tool is not None)]
        return [*offered, *(t for t in self.tools if t.name == call.name)] if offered else []

    def hooked(self, node: str, value: Any) -> Any:
        """The value as the user's own nodes before this one leave it."""
        for hook in self.hooks.get(node, ()):
            value = hook(value)
        return value

    def _finished(self, answer: Answer, context: Context, ask: Ask) -> Answer:
        if answer.calls:
            return distinct_calls(answer)
        if self.cite and not answer.attribution:
            answer = attribute(answer, context)
            if answer.parsed is None:  # the trailer stood behind what was asked for
                return answer.model_copy(update={"parsed": parsed_or_none(answer.text, ask.want)})
        return answer


def distinct_calls(answer: Answer) -> Answer:
    """The answer with every call's id its own, so that an approval or a result is of one call only."""
    seen: dict[str, int] = {}
    parts: list[Part] = []
    for part in answer.message.parts:
        kept = part
        if isinstance(part, Call):
            seen[part.id] = seen.get(part.id, 0) + 1
            if seen[part.id] > 1:
                kept = part.model_copy(update={"id": f"{part.id}~{seen[part.id]}"})
        parts.append(kept)
    message = answer.message.model_copy(update={"parts": tuple(parts)})
    return answer.model_copy(update={"message": message})


class _Trailer:
    """Passes events on, text without the citations trailer, which users never see."""

    def __init__(self, enabled: bool, on_event: OnEvent | None) -> None:  # noqa: FBT001 - a private switch
        self._on_event = on_event
        self._filter = CitationFilter(self._text) if enabled and on_event is not None else None

    def __call__(self, event: Event) -> None:
        if self._filter is not None and event.type == "text":
            self._filter.feed(event.text)
        elif self._on_event is not None:
            self._on_event(event)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._filter is not None:
            self._filter.close()

    def _text(self, text: str) -> None:
        if self._on_event is not None:
            self._on_event(Event(type="text", text=text))


def _no_runner(call: Call) -> Result:
    return Result(call_id=call.id, text="no tools can be run here", is_error=True)
