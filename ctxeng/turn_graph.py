"""The turn as a LangGraph graph: prepare, assemble, answer, act, remember."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypedDict, cast

from langchain_core.runnables import RunnableLambda
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt

from ctxeng.errors import Cancelled
from ctxeng.protocols import OnEvent
from ctxeng.steps import Earlier, Steps
from ctxeng.storage.bodies import Bodies
from ctxeng.turn import Answer, Ask, Call, Context, Request, Result, Step, Turn, Usage, add_usage

Leaf = Literal["sync", "async", "both"]


def _collect(old: dict[str, str] | None, new: dict[str, str] | None) -> dict[str, str]:
    """Results by call id, from parallel tasks; None clears them."""
    return {} if new is None else {**(old or {}), **new}


class TurnState(TypedDict, total=False):
    """A turn in progress as plain JSON; bodies are references. Few channels: each costs time at every node.

    `given` has turn, ask, meta, and for one tool call `call` and the `answer` that makes it; `progress` has
    the references of request and context, the steps so far, usage and, once it is made, the pending answer.
    """

    given: dict[str, Any]
    progress: dict[str, Any]
    results: Annotated[dict[str, str], _collect]
    done: str


@dataclass(frozen=True)
class TurnGraph:
    """Builds the graph and turns its state into values and back."""

    steps: Steps
    bodies: Bodies
    without: frozenset[str] = frozenset()
    versions: Callable[[], tuple[str, ...]] = tuple
    latest: dict[str, dict[str, Any]] = field(default_factory=dict)  # how far running turns came
    cancels: dict[str, Callable[[], bool]] = field(default_factory=dict)  # of running turns; never in state

    def compile(self, leaf: Leaf, checkpointer: Any = None) -> Any:
        """The compiled graph; `leaf` says whether models and tools are called, awaited, or either."""
        graph = StateGraph(TurnState)
        nodes: Mapping[str, Any] = {
            "prepare": self.prepare,
            "assemble": self.assemble,
            "answer": _leaf(leaf, self.answer, self.aanswer),
            "act": _leaf(leaf, self.act, self.aact),
            "append": self.append,
            "remember": self.remember,
        }
        after = END if "remember" in self.without else "remember"
        for name, node in nodes.items():
            if name not in self.without:
                ends = (after,) if "act" in self.without else ("act", after)
                graph.add_node(name, node, destinations=ends if name == "answer" else None)
        if "prepare" not in self.without:
            graph.add_edge("prepare", "assemble")
        graph.add_edge(START, "assemble" if "prepare" in self.without else "prepare")
        graph.add_edge("assemble", "answer")
        if "act" not in self.without:
            graph.add_edge("act", "append")
            graph.add_edge("append", "answer")
        if after != END:
            graph.add_edge(after, END)
        return graph.compile(checkpointer=checkpointer)

    def start(self, turn: str, request: Request, ask: Ask, **meta: Any) -> TurnState:
        """The state a turn starts from; it clears what an earlier turn left on the same thread."""
        return {
            "given": {"turn": turn, "ask": ask.model_dump(mode="json"), "meta": meta},
            "progress": {
                "request": self.bodies.put(self.steps.offered(request)),
                "steps": [],
                "usage": {},
                "pending": "",
            },
            "results": cast("dict[str, str]", None),
            "done": "",
        }

    # -- nodes: each reads references, calls one function of Steps, and returns references ------------------

    def prepare(self, state: TurnState) -> TurnState:
        """Steps that may call a model before assembly."""
        request, usage = self.steps.prepare(self._request(state))
        return _progress(state, request=self.bodies.put(request), usage=_plain(usage))

    def assemble(self, state: TurnState) -> TurnState:
        """The window; frozen for the turn."""
        context = self.steps.assemble(self._request(state), _ask(state))
        return _progress(state, context=self.bodies.put(context))

    def answer(self, state: TurnState) -> Command[str]:
        """One call of the model, and where to go from there."""
        context, request, ask, emit = self._call(state)
        return self._answered(state, *self.steps.answer(context, request, ask, emit))

    async def aanswer(self, state: TurnState) -> Command[str]:
        """The same, awaited."""
        context, request, ask, emit = self._call(state)
        return self._answered(state, *await self.steps.aanswer(context, request, ask, emit))

    def act(self, state: TurnState) -> TurnState:
        """One tool call; LangGraph keeps a finished task's result, so a resumed turn runs it once."""
        call, request, known = self._allowed(state)
        result = known or self.steps.run(call, request.scope)
        return {"results": {call.id: self.bodies.put(result)}}

    async def aact(self, state: TurnState) -> TurnState:
        """The same, awaited."""
        call, request, known = self._allowed(state)
        result = known or await self.steps.arun(call, request.scope)
        return {"results": {call.id: self.bodies.put(result)}}

    def append(self, state: TurnState) -> TurnState:
        """Calls and results behind the query, from the loop reserve."""
        *earlier, last = state["progress"]["steps"]
        step = self._step(last["answer"], state["results"])
        context = self.bodies.get(state["progress"]["context"], Context)
        done = tuple(self._step(each["answer"], each["results"]) for each in earlier)
        request, grown, cost = self.steps.append(
            context, self._request(state), _ask(state), step, Earlier(state["given"]["turn"], done)
        )
        update = _progress(
            state,
            request=self.bodies.put(request),
            context=self.bodies.put(grown),
            steps=[*earlier, {"answer": last["answer"], "results": state["results"]}],
            usage=_plain(add_usage(_usage(state), cost)),
        )
        self._note(state, update)
        return {**update, "results": cast("dict[str, str]", None)}

    def remember(self, state: TurnState) -> TurnState:
        """Tell memories and observers of the finished turn."""
        turn = self.steps.remember(self.steps.hooked("remember", self.finished(state)))
        return {"done": self.bodies.put(turn)}

    # -- values -------------------------------------------------------------------------------------------

    def finished(self, state: Mapping[str, Any]) -> Turn:
        """The turn as a value: what `remember` made of it, or put together from the state."""
        if state.get("done"):
            return self.bodies.get(state["done"], Turn)
        given, progress = state["given"], state["progress"]
        pending, meta = progress["pending"], given["meta"]
        window = progress.get("context")
        context = self.bodies.get(window, Context) if window else Context(sections=())
        return Turn(
            id=given["turn"],
            request=self.bodies.get(progress["request"], Request),
            ask=Ask.model_validate(given["ask"]),
            parent=meta.get("parent", ""),
            attempt=meta.get("attempt", 0),
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            playbooks=self.versions(),
            context=context,
            shown=context.shown,
            steps=tuple(self._step(step["answer"], step.get("results", {})) for step in progress["steps"]),
            answer=self.bodies.get(pending, Answer) if pending else None,
            usage={role: Usage.model_validate(usage) for role, usage in progress["usage"].items()},
        )

    def _call(self, state: TurnState) -> tuple[Context, Request, Ask, OnEvent]:
        cancelled = self.cancels.get(state["given"]["turn"])
        if cancelled is not None and cancelled():
            raise Cancelled(f"turn {state['given']['turn']} was cancelled before the model was called")
        ask = _ask(state).model_copy(update={"cancelled": cancelled})
        if len(state["progress"]["steps"]) >= self.steps.max_steps:
            ask = ask.model_copy(update={"tool_choice": "none"})  # the loop is bounded: now it has to answer
        elif state["progress"]["steps"] and ask.tool_choice == "required":
            ask = ask.model_copy(update={"tool_choice": "auto"})  # it was asked for once, not for ever
        context = self.bodies.get(state["progress"]["context"], Context)
        return context, self._request(state), ask, get_stream_writer()

    def _answered(self, state: TurnState, context: Context, answer: Answer) -> Command[str]:
        ref, progress = self.bodies.put(answer), state["progress"]
        steps = [*progress["steps"], {"answer": ref}]
        update = _progress(
            state,
            context=self.bodies.put(context),
            pending=ref,
            steps=steps,
            usage=_plain(add_usage(_usage(state), answer.usage)),
        )
        self._note(state, update)
        return Command(update=update, goto=self._next(state, answer, ref, len(steps)))

    def _next(self, state: TurnState, answer: Answer, ref: str, steps: int) -> Any:
        """One task per tool call, or the end of the turn."""
        if not answer.calls or "act" in self.without or steps > self.steps.max_steps:
            return END if "remember" in self.without else "remember"
        calls = [call.model_dump(mode="json") for call in answer.calls]
        given = {**state["given"], "answer": ref}
        return [Send("act", {**state, "given": {**given, "call": call}}) for call in calls]

    def _allowed(self, state: TurnState) -> tuple[Call, Request, Result | None]:
        """The call and, where nothing has to be run for it, its result.

        That is so where it is not allowed, where a person refuses it, or where it manages a source.
        """
        given, request = state["given"], self._request(state)
        call = self.steps.meant(Call.model_validate(given["call"]))
        if refusal := self.steps.refusal(call, request):
            return call, request, Result(call_id=call.id, text=refusal, is_error=True)
        if self.steps.needs_approval(call, request):
            decision = interrupt({"turn": given["turn"], "call": given["call"]})
            if decision is not True:
                why = decision if isinstance(decision, str) else "a person refused this call"
                return call, request, Result(call_id=call.id, text=why, is_error=True)
        beside = self.bodies.get(given["answer"], Answer).calls
        return call, request, self.steps.manage(call, request, beside)

    def _note(self, state: TurnState, update: TurnState) -> None:
        if state["given"]["turn"] in self.latest:
            self.latest[state["given"]["turn"]] = update["progress"]

    def _request(self, state: TurnState) -> Request:
        return self.bodies.get(state["progress"]["request"], Request)

    def _step(self, answer: str, results: Mapping[str, str]) -> Step:
        found = self.bodies.get(answer, Answer)
        kept = [self.bodies.get(results[call.id], Result) for call in found.calls if call.id in results]
        return Step(answer=found, results=tuple(kept))


def _progress(state: TurnState, **news: Any) -> TurnState:  # the fields of `progress`
    return {"progress": {**state["progress"], **news}}


def _ask(state: TurnState) -> Ask:
    return Ask.model_validate(state["given"]["ask"])


def _leaf(leaf: Leaf, call: Callable[..., Any], acall: Callable[..., Any]) -> Any:
    if leaf == "both":
        return RunnableLambda(call, afunc=acall)  # half a millisecond dearer than a plain function
    return call if leaf == "sync" else acall


def _usage(state: TurnState) -> dict[str, Usage]:
    return {role: Usage.model_validate(each) for role, each in state["progress"]["usage"].items()}


def _plain(usage: Mapping[str, Usage]) -> dict[str, Any]:
    return {role: value.model_dump(exclude_defaults=True) for role, value in usage.items()}
