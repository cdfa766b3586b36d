"""The turn as a LangGraph graph: prepare, assemble, answer, act, remember."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypedDict, cast

from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send, interrupt

from ctxeng.errors import Cancelled
from ctxeng.protocols import Event
from ctxeng.steps import Steps
from ctxeng.storage.bodies import Bodies
from ctxeng.turn import Answer, Ask, Call, Context, Request, Result, Step, Turn, Usage, add_usage

Leaf = Literal["sync", "async", "both"]


def _collect(old: dict[str, str] | None, new: dict[str, str] | None) -> dict[str, str]:
    """Results by call id, from parallel tasks; None clears them."""
    return {} if new is None else {**(old or {}), **new}


class TurnState(TypedDict, total=False):
    """A turn in progress as plain JSON; `request`, `context`, answers and results are references."""

    request: str
    turn: str
    ask: dict[str, Any]
    meta: dict[str, Any]
    context: str
    steps: list[dict[str, Any]]
    pending: str
    results: Annotated[dict[str, str], _collect]
    usage: dict[str, Any]
    done: str


@dataclass(frozen=True)
class TurnGraph:
    """Builds the graph and turns its state into values and back."""

    steps: Steps
    bodies: Bodies
    without: frozenset[str] = frozenset()
    versions: Callable[[], tuple[str, ...]] = tuple

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
        for name, node in nodes.items():
            if name not in self.without:
                graph.add_node(name, node)
        first = "assemble" if "prepare" in self.without else "prepare"
        last = END if "remember" in self.without else "remember"
        graph.add_edge(START, first)
        if first == "prepare":
            graph.add_edge("prepare", "assemble")
        graph.add_edge("assemble", "answer")
        if "act" in self.without:
            graph.add_edge("answer", last)
        else:
            graph.add_conditional_edges("answer", self.route, ["act", last])
            graph.add_edge("act", "append")
            graph.add_edge("append", "answer")
        if last == "remember":
            graph.add_edge("remember", END)
        return graph.compile(checkpointer=checkpointer)

    def start(self, turn: str, request: Request, ask: Ask, **meta: Any) -> TurnState:
        """The state a turn starts from; it clears what an earlier turn left on the same thread."""
        return {
            "turn": turn,
            "request": self.bodies.put(request),
            "ask": ask.model_dump(mode="json"),
            "meta": meta,
            "steps": [],
            "pending": "",
            "results": cast("dict[str, str]", None),
            "usage": {},
            "done": "",
        }

    # -- nodes: each reads references, calls one function of Steps, and returns references ------------------

    def prepare(self, state: TurnState) -> TurnState:
        """Steps that may call a model before assembly."""
        request, usage = self.steps.prepare(self._request(state))
        return {"request": self.bodies.put(request), "usage": _plain(usage)}

    def assemble(self, state: TurnState) -> TurnState:
        """The window; frozen for the turn."""
        return {"context": self.bodies.put(self.steps.assemble(self._request(state), self._ask(state)))}

    def answer(self, state: TurnState, config: RunnableConfig) -> TurnState:
        """One call of the model."""
        context, request, ask, emit = self._call(state, config)
        return self._answered(state, *self.steps.answer(context, request, ask, emit))

    async def aanswer(self, state: TurnState, config: RunnableConfig) -> TurnState:
        """The same, awaited."""
        context, request, ask, emit = self._call(state, config)
        return self._answered(state, *await self.steps.aanswer(context, request, ask, emit))

    def route(self, state: TurnState) -> Any:
        """One task per tool call, or the end of the turn."""
        answer = self.bodies.get(state["pending"], Answer)
        if not answer.calls or len(state["steps"]) > self.steps.max_steps:
            return END if "remember" in self.without else "remember"
        return [
            Send(
                "act",
                {"turn": state["turn"], "request": state["request"], "meta": call.model_dump(mode="json")},
            )
            for call in answer.calls
        ]

    def act(self, state: TurnState) -> TurnState:
        """One tool call; LangGraph keeps a finished task's result, so a resumed turn runs it once."""
        call, request, refused = self._allowed(state)
        result = refused or self.steps.run(call, request.scope)
        return {"results": {call.id: self.bodies.put(result)}}

    async def aact(self, state: TurnState) -> TurnState:
        """The same, awaited."""
        call, request, refused = self._allowed(state)
        result = refused or await self.steps.arun(call, request.scope)
        return {"results": {call.id: self.bodies.put(result)}}

    def append(self, state: TurnState) -> TurnState:
        """Calls and results behind the query, from the loop reserve."""
        step = self._step(state["steps"][-1]["answer"], state["results"])
        context = self.bodies.get(state["context"], Context)
        request, ask = self._request(state), self._ask(state)
        steps = [*state["steps"][:-1], {"answer": state["steps"][-1]["answer"], "results": state["results"]}]
        grown = self.steps.append(context, request, ask, step)
        return {"context": self.bodies.put(grown), "steps": steps, "results": cast("dict[str, str]", None)}

    def remember(self, state: TurnState) -> TurnState:
        """Tell every observer of the finished turn."""
        turn = self.steps.hooked("remember", self.finished(state))
        for observer in self.steps.observers:
            observer.observe(turn)
        return {"done": self.bodies.put(turn)}

    # -- values -------------------------------------------------------------------------------------------

    def finished(self, state: Mapping[str, Any]) -> Turn:
        """The turn as a value: what `remember` made of it, or put together from the state."""
        if state.get("done"):
            return self.bodies.get(state["done"], Turn)
        pending = state.get("pending", "")
        meta = state.get("meta", {})
        return Turn(
            id=state["turn"],
            request=self.bodies.get(state["request"], Request),
            ask=Ask.model_validate(state["ask"]),
            parent=meta.get("parent", ""),
            attempt=meta.get("attempt", 0),
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            playbooks=self.versions(),
            context=self.bodies.get(state["context"], Context)
            if state.get("context")
            else Context(sections=()),
            steps=tuple(
                self._step(step["answer"], step.get("results", {})) for step in state.get("steps", [])
            ),
            answer=self.bodies.get(pending, Answer) if pending else None,
            usage={role: Usage.model_validate(usage) for role, usage in state.get("usage", {}).items()},
        )

    def _call(self, state: TurnState, config: RunnableConfig) -> tuple[Context, Request, Ask, Any]:
        cancelled = config.get("configurable", {}).get("cancelled")
        if cancelled is not None and cancelled():
            raise Cancelled(f"turn {state['turn']} was cancelled before the model was called")
        ask = self._ask(state).model_copy(update={"cancelled": cancelled})
        if len(state["steps"]) >= self.steps.max_steps:
            ask = ask.model_copy(update={"tool_choice": "none"})  # the loop is bounded: now it has to answer
        write = get_stream_writer()

        def emit(event: Event) -> None:
            write(event)

        return self.bodies.get(state["context"], Context), self._request(state), ask, emit

    def _answered(self, state: TurnState, context: Context, answer: Answer) -> TurnState:
        ref = self.bodies.put(answer)
        usage = add_usage({r: Usage.model_validate(u) for r, u in state["usage"].items()}, answer.usage)
        steps = [*state["steps"], {"answer": ref}]
        return {"context": self.bodies.put(context), "pending": ref, "steps": steps, "usage": _plain(usage)}

    def _allowed(self, state: TurnState) -> tuple[Call, Request, Result | None]:
        """The call and, where a person refuses it, the result that says so."""
        call, request = Call.model_validate(state["meta"]), self._request(state)
        if self.steps.needs_approval(call, request):
            decision = interrupt({"turn": state["turn"], "call": state["meta"]})
            if decision is not True:
                why = decision if isinstance(decision, str) else "a person refused this call"
                return call, request, Result(call_id=call.id, text=why, is_error=True)
        return call, request, None

    def _request(self, state: TurnState) -> Request:
        return self.bodies.get(state["request"], Request)

    def _ask(self, state: TurnState) -> Ask:
        return Ask.model_validate(state["ask"])

    def _step(self, answer: str, results: Mapping[str, str]) -> Step:
        found = self.bodies.get(answer, Answer)
        kept = [self.bodies.get(results[call.id], Result) for call in found.calls if call.id in results]
        return Step(answer=found, results=tuple(kept))


def _leaf(leaf: Leaf, call: Callable[..., Any], acall: Callable[..., Any]) -> Any:
    if leaf == "both":
        return RunnableLambda(call, afunc=acall)  # half a millisecond dearer than a plain function
    return call if leaf == "sync" else acall


def _plain(usage: Mapping[str, Usage]) -> dict[str, Any]:
    return {role: value.model_dump(exclude_defaults=True) for role, value in usage.items()}
