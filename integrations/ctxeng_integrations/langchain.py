"""A playbook inside a LangChain agent: middleware for `create_agent` that shows it, logs turns and learns."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, NotRequired
from uuid import uuid4

from ctxeng.extras import needs

needs("langchain")  # before its import, so that what is missing is named with the pip line

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse  # noqa: E402
from langchain.agents.middleware.types import ExtendedModelResponse, OmitFromInput  # noqa: E402
from langchain_core.messages import AIMessage  # noqa: E402
from langgraph.types import Command  # noqa: E402

from ctxeng import render  # noqa: E402
from ctxeng.errors import UnknownTurn  # noqa: E402
from ctxeng.learn import Learned  # noqa: E402
from ctxeng.models.citations import attribute  # noqa: E402
from ctxeng.orchestrator import Orchestrator  # noqa: E402
from ctxeng.protocols import Allowance  # noqa: E402
from ctxeng.settings import App  # noqa: E402
from ctxeng.tokens import Counter, Estimate  # noqa: E402
from ctxeng.turn import Context, Request, Scope, Section, Step, Turn, add_usage  # noqa: E402
from ctxeng_integrations import langchain_values as values  # noqa: E402

TURN = "ctxeng_turn"  # where the agent's state holds the id of its newest turn


class TurnState(AgentState):  # type: ignore[misc]  # LangChain is not type-checked here
    """The agent's state with the id that feedback needs."""

    ctxeng_turn: NotRequired[Annotated[str, OmitFromInput]]  # type: ignore[valid-type]  # the same


def no_scope(request: ModelRequest) -> Scope:  # noqa: ARG001 - the shape of a scope function
    """Everybody's turn."""
    return Scope()


@dataclass(frozen=True, eq=False)
class PlaybookMiddleware(AgentMiddleware):  # type: ignore[misc]  # the same
    """Shows an agent its playbook and its fitting tools, and learns from feedback on its turns.

    Reviewed entries go behind the system text, others as data before the question: at most `tokens` of
    both, headings included, counted by `counter`. Of the tools, `tool_tokens` worth are offered. What a
    turn's first call was shown stays for all its calls, and entries shown last turn are preferred, so that
    the provider's prompt cache holds. `scope` says whose turn it is. After a run the agent's state has
    the turn's id under "ctxeng_turn"; give it to `feedback`, now or later.
    """

    app: App
    tokens: int = 2_000
    tool_tokens: int = 8_000
    counter: Counter = Estimate()
    scope: Callable[[ModelRequest], Scope] = no_scope

    state_schema = TurnState
    tools = ()

    def wrap_model_call(
        self, request: ModelRequest, handler: Callable[[ModelRequest], ModelResponse]
    ) -> ExtendedModelResponse:
        """The model's answer to the request with playbook and tools in it; the turn is logged."""
        turn = self._opened(request)
        with self._failures(turn):
            response = handler(self._shown(request, turn))
        return self._closed(turn, response)

    async def awrap_model_call(
        self, request: ModelRequest, handler: Callable[[ModelRequest], Awaitable[ModelResponse]]
    ) -> ExtendedModelResponse:
        """The same, awaited."""
        turn = await asyncio.to_thread(self._opened, request)  # an encoder may have to load
        with self._failures(turn):
            response = await handler(self._shown(request, turn))
        return self._closed(turn, response)

    def feedback(self, turn_id: str, **given: Any) -> Learned:
        """Learn from a turn: `truth=`, `score=` with `evidence=`, or `comment=`, as for an Orchestrator."""
        return self.orchestrator.feedback(turn_id, **given)

    def approve(self, turn_id: str, *, decision: bool | list[int] = True) -> Learned:
        """Accept what a turn taught, where the settings say `approve: human`."""
        return self.orchestrator.approve(turn_id, decision=decision)

    def close(self) -> None:
        """Commit the playbook's YAML."""
        self.app.store.close()

    @cached_property
    def orchestrator(self) -> Orchestrator:
        """What feedback goes to; built when there is some, for it may need models that showing does not."""
        return self.app.orchestrator()

    # -- before the call

    def _opened(self, request: ModelRequest) -> Turn:
        """The turn this call belongs to: the one under way with what its tools returned, or a new one."""
        previous = self._previous(request.state)
        place, query = values.question(request.messages)
        offered = tuple(found for each in request.tools if (found := values.tool(each)) is not None)
        if previous is None or previous.request.query.id != query.id:
            asked = Request(
                query=query,
                system=request.system_prompt or "",
                tools=offered,
                scope=self.scope(request),
                shown=previous.shown if previous else {},
            )
            return Turn(
                id=_turn_id(request, query.id),
                parent=previous.id if previous else "",
                time=datetime.now(UTC).isoformat(timespec="seconds"),
                playbooks=(f"{self.app.store.playbook.name}@{self.app.store.playbook.version}",),
                request=asked,
                context=(context := self._gathered(asked)),
                shown=context.shown,
            )
        turn = _with_results(previous, request.messages[place:])
        if offered == turn.request.tools:
            return turn
        asked = turn.request.model_copy(update={"tools": offered, "shown": turn.context.shown})
        context = self._gathered(asked)
        return turn.model_copy(update={"request": asked, "context": context, "shown": context.shown})

    def _previous(self, state: Mapping[str, Any]) -> Turn | None:
        try:
            return self.app.log.get(state[TURN]) if state.get(TURN) else None
        except UnknownTurn:  # the log kept fewer turns than the thread
            return None

    def _gathered(self, request: Request) -> Context:
        headings = "".join(render.HEADINGS[name] for name in ("playbook", "candidate"))
        room = max(0, self.tokens - self.counter.count(headings) - 2 * render.SEPARATORS)
        found: list[Section] = []
        spent: dict[str, int] = {}
        for name, tokens in (("tools", self.tool_tokens), ("playbook", room)):
            if name in self.app.settings.graph.without:
                continue
            sections = self.app.sources[name].gather(request, Allowance(tokens, self._price))
            spent[name] = sum(section.tokens for section in sections)
            found += sections
        asked = Section(kind="query", source="request", body=request.query, ref=request.query.id)
        return Context(sections=(*found, asked), spent=spent, limit=room + self.tool_tokens)

    def _price(self, section: Section) -> int:
        return render.price(section, self.counter)

    def _shown(self, request: ModelRequest, turn: Turn) -> ModelRequest:
        """The request as the model sees it."""
        notes = turn.context.of("playbook")
        reviewed = [note for note in notes if note.trust == "trusted"]
        place, _ = values.question(request.messages)
        if place < 0:  # nothing was asked, so there is nothing to put data before
            return request.override(system_message=values.with_notes(request.system_message, reviewed))
        messages = list(request.messages)
        messages[place] = values.with_data(
            messages[place], [note for note in notes if note.trust != "trusted"]
        )
        return request.override(
            system_message=values.with_notes(request.system_message, reviewed),
            messages=messages,
            tools=_offered(request, turn.context),
        )

    # -- after the call

    def _closed(self, turn: Turn, response: ModelResponse) -> ExtendedModelResponse:
        said = next(message for message in response.result if isinstance(message, AIMessage))
        answer = values.answer(said, response.structured_response)
        if not answer.calls:
            answer = attribute(answer, turn.context)
        done = turn.model_copy(
            update={
                "steps": (*turn.steps, Step(answer=answer)),
                "answer": answer,
                "usage": add_usage(turn.usage, answer.usage),
                "error": "",
            }
        )
        self._observe(done)
        return ExtendedModelResponse(response, Command(update={TURN: turn.id}))

    @contextmanager
    def _failures(self, turn: Turn) -> Iterator[None]:
        try:
            yield
        except BaseException as error:  # noted and raised again, a cancelled call too
            self._observe(turn.model_copy(update={"error": f"{type(error).__name__}: {error}"}))
            raise

    def _observe(self, turn: Turn) -> None:
        for observer in (self.app.log, *self.app.observers):
            observer.observe(turn)


def _turn_id(request: ModelRequest, query_id: str) -> str:
    """An id that a call run again after a crash gets again; a random one outside a resumable thread."""
    thread = getattr(getattr(request.runtime, "execution_info", None), "thread_id", None)
    if not thread:
        return uuid4().hex[:16]
    return hashlib.sha256(f"{thread}\0{query_id}".encode()).hexdigest()[:16]


def _with_results(turn: Turn, messages: Sequence[Any]) -> Turn:
    """The turn with what the calls of its last step returned."""
    if not turn.steps:
        return turn
    last = turn.steps[-1]
    found = values.results(messages, last.answer.calls)
    return turn.model_copy(update={"steps": (*turn.steps[:-1], Step(answer=last.answer, results=found))})


def _offered(request: ModelRequest, context: Context) -> list[Any]:
    """The request's tools less those that were not picked; a forced and a provider's own tool always stay."""
    picked = {section.ref for section in context.of("tool")}
    kept = []
    for each in request.tools:
        known = values.tool(each)
        if known is None or known.name in picked or request.tool_choice == known.name:
            kept.append(each)
    return kept
